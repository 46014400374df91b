"""Draining what a program writes: bounds, counts, and the order of the two streams."""

from __future__ import annotations

import os
import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.sandbox.output import Capture, in_order

TOKEN = b"\0token"
MARK_BYTES = len(TOKEN) + 8

texts = st.binary(max_size=12) | st.sampled_from([TOKEN[:3], TOKEN[:-1], b"\0", b"\0\0tok"])
writes = st.lists(st.tuples(st.sampled_from(["out", "err"]), texts), max_size=20)


NOTE = re.compile(rb"\n\.\.\. \[\d+ bytes were not kept\] \.\.\.\n")


def kept(capture: Capture) -> bytes:
    return NOTE.sub(b"", capture.between(0, capture.end))


def mark(count: int) -> bytes:
    return TOKEN + b"%08x" % count


def drained(data: bytes, cuts: list[int], keep: int, token: bytes = b"", on_flood=None) -> Capture:
    """What is kept when the data arrive in pieces, cut at those places."""
    with Capture(keep, on_flood, token) as capture:
        places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        for begin, end in pairwise(places):
            os.write(capture.inner_fd, data[begin:end])
            assert capture.read()
        capture.close_inner()
        capture.finish()
    return capture


@given(writes=writes, cuts=st.lists(st.integers(0, 500)), keep=st.integers(0, 300))
def test_marks_give_the_order_however_the_bytes_arrive(writes, cuts, keep):
    stream = b"".join(data if where == "out" else mark(len(data)) for where, data in writes)
    if TOKEN in stream.replace(TOKEN, b"", sum(where == "err" for where, _ in writes)):
        return  # pieces that happen to make a token of their own
    out = b"".join(data for where, data in writes if where == "out")
    err = b"".join(data for where, data in writes if where == "err")
    stdout, stderr = drained(stream, cuts, 10_000, TOKEN), drained(err, cuts, 10_000)
    assert (kept(stdout), stdout.dropped) == (out, 0)
    assert in_order(stdout, stderr) == b"".join(data for _, data in writes)

    capped, capped_err = drained(stream, cuts, keep, TOKEN), drained(err, cuts, keep)
    expected = [ends(out, keep), ends(err, keep)]
    assert [kept(capped), kept(capped_err)] == expected
    assert capped.dropped == len(out) - len(expected[0])
    assert sorted(NOTE.sub(b"", in_order(capped, capped_err))) == sorted(b"".join(expected)), "each kept byte once"


def ends(data: bytes, keep: int) -> bytes:
    """The first and the last bytes."""
    return data if len(data) <= keep else data[: keep - keep // 2] + data[len(data) - keep // 2 :]


@given(lines=st.integers(0, 3000), keep=st.integers(2, 4000))
def test_the_note_says_how_many_bytes_are_missing_and_where(lines, keep):
    data = b"".join(b"%d\n" % line for line in range(lines))
    capture = drained(data, [], keep)
    note = b"\n... [%d bytes were not kept] ...\n" % (len(data) - keep)
    whole = data[: keep - keep // 2] + note + data[len(data) - keep // 2 :] if len(data) > keep else data
    assert capture.between(0, capture.end) == whole


forged = st.lists(
    st.binary(max_size=9)
    | st.sampled_from(
        [TOKEN, TOKEN[:4], TOKEN + b"ffffffff", TOKEN + b"zzzzzzzz", TOKEN + b"-0000001", TOKEN + b"00"]
    ),
    max_size=12,
).map(b"".join)


@given(data=forged, cuts=st.lists(st.integers(0, 500)), err=st.binary(max_size=20))
def test_forged_and_partial_marks_lose_no_other_byte(data, cuts, err):
    whole, split = drained(data, [], 10_000, TOKEN), drained(data, cuts, 10_000, TOKEN)
    assert (kept(split), split.marks, split.dropped) == (kept(whole), whole.marks, 0)
    assert len(kept(split)) + MARK_BYTES * len(split.marks) == len(data)
    together = in_order(split, drained(err, [], 10_000))
    assert sorted(together) == sorted(kept(split) + err)


@given(data=st.binary(max_size=400), cuts=st.lists(st.integers(0, 500)), keep=st.integers(1, 20))
def test_a_flood_is_told_once(data, cuts, keep):
    told = []
    capture = drained(data, cuts, keep, on_flood=lambda: told.append(1))
    assert told == [1] * (len(data) > 16 * keep) and capture.flooded is bool(told)
    assert capture.dropped + len(kept(capture)) == len(data)


def test_marks_without_end_are_a_flood():
    told = []
    drained(mark(0) * 100, [], 10, TOKEN, on_flood=lambda: told.append(1))
    assert told == [1]


@given(data=st.binary(max_size=60))
def test_text_is_utf8_with_replacement(data):
    assert drained(data, [], 100).text() == data.decode("utf-8", "replace")
