from __future__ import annotations

import gzip
import logging
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from r1ci_plugins.errors import TrajectoryFileError
from r1ci_plugins.protocol.segments import Segment, SegmentKind
from r1ci_plugins.rollout.trajectory import StopReason, Trajectory
from r1ci_plugins.rollout.trajectory_file import TrajectoryWriter, read_trajectories
from r1ci_plugins.tasks.task import Question


def make(number, text="I count.\u2028 \ud800 \x85 ü"):
    return Trajectory(
        Question("How many?", str(number), task="demo/count", split="rl", index=number),
        (Segment(SegmentKind.ACTION, tuple(range(number, number + 50)), text, (-0.5,) * 50),),
        (),
        StopReason.ANSWERED,
        answer=str(number),
    )


def written(path, *batches):
    """A file with one member per batch, and the offset at which each member ends."""
    ends = []
    for batch in batches:
        TrajectoryWriter(path, max_mb=64, sample_rate=1.0).write([make(number) for number in batch])
        ends.append(path.stat().st_size)
    return ends


def numbers(path):
    return [trajectory.question.index for trajectory in read_trajectories(path)]


def test_writers_in_sequence_append_and_everything_comes_back(tmp_path):
    path = tmp_path / "new folder" / "train.jsonl.gz"
    written(path, [0], [1, 2], [], [3])
    assert list(read_trajectories(path)) == [make(number) for number in range(4)]
    assert len(gzip.decompress(path.read_bytes()).splitlines()) == 4  # what zcat shows


def test_the_size_cap_holds_and_what_it_costs_is_counted_and_said_once(tmp_path, caplog):
    writer = TrajectoryWriter(tmp_path / "t.jsonl.gz", max_mb=0.002, sample_rate=1.0)
    for number in range(20):
        writer.write([make(number)])
    kept = numbers(writer.path)
    assert writer.path.stat().st_size <= 0.002 * 2**20
    assert kept == list(range(len(kept))) and 0 < len(kept) < 20 and writer.lost == 20 - len(kept)
    assert len(caplog.records) == 1 and "trajectories.max_mb" in caplog.text


def test_a_sample_is_drawn_and_what_it_leaves_out_is_not_lost(tmp_path):
    writer = TrajectoryWriter(tmp_path / "t.jsonl.gz", max_mb=64, sample_rate=0.3)
    for number in range(400):
        writer.write([make(number)])
    assert 70 < len(numbers(writer.path)) < 170 and writer.lost == 0
    nothing = TrajectoryWriter(tmp_path / "none.jsonl.gz", max_mb=64, sample_rate=0.0)
    nothing.write([make(0)])
    assert not nothing.path.exists() and nothing.lost == 0


@pytest.fixture(scope="module")
def four_members(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "t.jsonl.gz"
    ends = written(path, [0], [1, 2], [3], [4])
    return path.read_bytes(), ends


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_write_cut_short_anywhere_costs_that_write_alone(four_members, tmp_path, caplog, data):
    whole, ends = four_members
    edges = [end + offset for end in ends[:-1] for offset in range(-9, 12)]
    cut = data.draw(st.integers(1, len(whole)) | st.sampled_from(edges))
    path = tmp_path / "torn.jsonl.gz"
    path.write_bytes(whole[:cut])
    caplog.clear()
    before = list(range((0, 1, 3, 4, 5)[sum(end <= cut for end in ends)]))
    assert numbers(path) == before
    assert ("cut short" in caplog.text) == (cut not in ends)
    written(path, [7], [8])  # a resumed run goes on in the same file
    assert numbers(path) == [*before, 7, 8]


@pytest.mark.parametrize("damage", [0, 20, -6])  # in the middle member's header, body and checksum
def test_a_damaged_write_is_reported_and_skipped(four_members, tmp_path, caplog, damage):
    whole, ends = four_members
    at = ends[0] + damage if damage >= 0 else ends[1] + damage
    path = tmp_path / "t.jsonl.gz"
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
    assert numbers(path) == [0, 3, 4]
    assert str(path) in caplog.text and f"at {ends[0]}" in caplog.text


@pytest.mark.parametrize(
    ("line", "expected"),
    [(b"{not json}", "not a trajectory record"), (b"\xff\xfe", "not a trajectory record"), (b"", "not a trajectory")]
    + [(b'{"version": 99}', "version 99 is unknown")],
)
def test_a_corrupt_line_is_named_by_file_and_number(tmp_path, line, expected):
    path = tmp_path / "t.jsonl.gz"
    written(path, [0, 1])
    with open(path, "ab") as file:
        file.write(gzip.compress(line + b"\n"))
    with pytest.raises(TrajectoryFileError, match=expected) as caught:
        numbers(path)
    assert f"{path}, line 3" in str(caught.value)


def test_a_file_that_is_missing_or_something_else_is_a_clear_error(tmp_path):
    for name, content in [("missing", None), ("text", b"hello\n"), ("binary", b"\x00\xff\n")]:
        path = tmp_path / name
        if content:
            path.write_bytes(content)
        with pytest.raises(TrajectoryFileError) as caught:
            numbers(path)
        assert str(path) in str(caught.value)
    (tmp_path / "empty").touch()
    assert numbers(tmp_path / "empty") == []


def test_plain_json_lines_are_read_too(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_bytes("".join(make(i).to_json() + "\n" for i in range(3)).encode("utf-8", "surrogatepass"))
    assert numbers(path) == [0, 1, 2]
    with open(path, "a") as file:
        file.write(make(3).to_json()[:50])
    with pytest.raises(TrajectoryFileError) as caught:
        numbers(path)
    assert f"{path}, line 4" in str(caught.value)


def test_a_write_into_a_device_that_is_full_never_raises(caplog):
    writer = TrajectoryWriter(Path("/dev/full"), max_mb=64, sample_rate=1.0)
    writer.write([make(0), make(1)])
    writer.write([make(2)])
    assert writer.lost == 3
    assert len(caplog.records) == 1 and "No space left" in caplog.text and "Training goes on" in caplog.text


def test_a_folder_that_cannot_be_made_never_raises(tmp_path):
    (tmp_path / "file").touch()
    writer = TrajectoryWriter(tmp_path / "file" / "t.jsonl.gz", max_mb=64, sample_rate=1.0)
    writer.write([make(0)])
    assert writer.lost == 1


def test_a_disk_that_fills_up_in_the_middle_of_a_write_leaves_whole_members(tmp_path):
    # The kernel cuts the write short at RLIMIT_FSIZE, as it does on a full disk.
    script = """
    import os, resource, sys
    from pathlib import Path
    from r1ci_plugins.protocol.segments import Segment, SegmentKind
    from r1ci_plugins.rollout.trajectory import StopReason, Trajectory
    from r1ci_plugins.rollout.trajectory_file import TrajectoryWriter
    from r1ci_plugins.tasks.task import Question

    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
    writer = TrajectoryWriter(Path(sys.argv[1]), max_mb=64, sample_rate=1.0)
    for number in range(20):
        noise = Segment(SegmentKind.ACTION, (), os.urandom(600).hex())
        question = Question("?", "!", index=number)
        writer.write([Trajectory(question, (noise,), (), StopReason.ANSWERED)])
    print(writer.lost)
    """
    path = tmp_path / "t.jsonl.gz"
    done = subprocess.run(
        [sys.executable, "-c", dedent(script), str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    kept = numbers(path)
    assert kept == list(range(len(kept))) and 0 < len(kept) < 20
    assert int(done.stdout) == 20 - len(kept)
    assert len(gzip.decompress(path.read_bytes()).splitlines()) == len(kept)


def test_a_killed_writer_leaves_what_it_had_written(tmp_path, caplog):
    script = """
    import sys
    from pathlib import Path
    from r1ci_plugins.rollout.trajectory import StopReason, Trajectory
    from r1ci_plugins.rollout.trajectory_file import TrajectoryWriter
    from r1ci_plugins.tasks.task import Question

    writer = TrajectoryWriter(Path(sys.argv[1]), max_mb=64, sample_rate=1.0)
    number = 0
    while True:
        writer.write([Trajectory(Question("?", "!", index=number), (), (), StopReason.ANSWERED)])
        number += 1
        print(number, flush=True)
    """
    path = tmp_path / "t.jsonl.gz"
    child = subprocess.Popen([sys.executable, "-c", dedent(script), str(path)], stdout=subprocess.PIPE, text=True)
    try:
        reported = 0
        while reported < 30:
            reported = int(child.stdout.readline())
    finally:
        child.kill()
        child.wait()
    with caplog.at_level(logging.WARNING):
        kept = numbers(path)
    assert len(kept) >= reported and kept == list(range(len(kept)))
    assert os.access(path, os.R_OK)
