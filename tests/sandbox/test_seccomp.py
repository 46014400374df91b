"""The filter's instructions, run by a small interpreter of classic BPF for both processors."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins.errors import SandboxUnavailable
from r1ci_plugins.sandbox import seccomp

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
COLUMN = {"x86_64": 0, "aarch64": 1}
MACHINES = pytest.mark.parametrize("machine", list(ARCHITECTURE))


def decide(program: bytes, number: int, *arguments: int, architecture: int) -> int:
    """What the filter returns for a call; fails on anything that the kernel would refuse to load."""
    assert len(program) % 8 == 0 and len(program) // 8 <= 4096
    instructions = list(struct.iter_unpack("=HBBI", program))
    masked = [value & (1 << 64) - 1 for value in [*arguments, *[0] * 6][:6]]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, architecture, 0, *masked)
    at, accumulator = 0, 0
    while True:
        code, yes, no, value = instructions[at]
        at += 1
        if code == 0x20:
            assert value % 4 == 0 and value < 64
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x06:
            return value
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            at += yes if holds else no


def static(machine: str, number: int | None, *arguments: int) -> int:
    assert number is not None
    return decide(seccomp.static_filter(machine), number, *arguments, architecture=ARCHITECTURE[machine])


@MACHINES
def test_denied_calls_fail_with_eperm(machine):
    numbers = [pair[COLUMN[machine]] for pair in seccomp._CALLS.values()]
    for number in filter(None, numbers):
        assert static(machine, number) == ERRNO | errno.EPERM
    assert len(set(filter(None, numbers))) == len([n for n in numbers if n]), "one name, one number"


@MACHINES
@given(number=st.integers(0, 600), arguments=st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=6))
def test_what_is_not_named_is_allowed(machine, number, arguments):
    column = COLUMN[machine]
    named = {pair[column] for pair in seccomp._CALLS.values()} | {row[column] for row in seccomp._ONLY_SELF.values()}
    named |= {seccomp._CLONE[column], seccomp._CLONE3[column], seccomp._SOCKET[column], seccomp._IOCTL[column]}
    if number not in named:
        assert static(machine, number, *arguments) == ALLOW


@MACHINES
def test_other_architectures_end_the_process_and_x32_does_not_exist(machine):
    program = seccomp.static_filter(machine)
    for other in {*ARCHITECTURE.values(), 0x40000003, 0} - {ARCHITECTURE[machine]}:
        assert decide(program, 1, architecture=other) == KILL
    for number in (0x40000000, 0x40000000 | 521, -1):
        assert static(machine, number) == ERRNO | errno.ENOSYS


@MACHINES
def test_processes_but_no_namespaces_can_be_made(machine):
    clone, clone3 = seccomp._CLONE[COLUMN[machine]], seccomp._CLONE3[COLUMN[machine]]
    assert static(machine, clone3) == ERRNO | errno.ENOSYS
    assert static(machine, clone, 17) == ALLOW  # fork
    assert static(machine, clone, 0x3D0F00) == ALLOW  # a thread
    for flag in (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert static(machine, clone, flag | 17) == ERRNO | errno.EPERM
        assert static(machine, clone, flag | 17 | 1 << 40) == ERRNO | errno.EPERM


@MACHINES
@given(family=st.integers(0, 2**32 - 1))
def test_socket_families(machine, family):
    expected = ALLOW if family in (1, 2, 10) else ERRNO | errno.EAFNOSUPPORT
    assert static(machine, seccomp._SOCKET[COLUMN[machine]], family) == expected


@MACHINES
@given(target=st.integers(-(2**31), 2**31 - 1))
def test_only_oneself_can_be_changed(machine, target):
    for *numbers, place in seccomp._ONLY_SELF.values():
        arguments = [5] * place + [target]
        assert static(machine, numbers[COLUMN[machine]], *arguments) == (ALLOW if target == 0 else ERRNO | errno.EPERM)


@MACHINES
def test_no_input_for_terminals(machine):
    ioctl = seccomp._IOCTL[COLUMN[machine]]
    assert [static(machine, ioctl, 0, request) for request in (0x5412, 0x541C)] == [ERRNO | errno.EPERM] * 2
    assert static(machine, ioctl, 0, 0x5401) == ALLOW


@MACHINES
@given(target=st.integers(-(2**31), 2**31 - 1) | st.sampled_from([1, -1, 0, seccomp.ZYGOTE, -seccomp.ZYGOTE]))
def test_signals_reach_neither_zygote_nor_init_nor_everybody(machine, target):
    program = seccomp.signal_filter(machine)
    denied = {1, -1, seccomp.ZYGOTE, -seccomp.ZYGOTE}
    for numbers in seccomp._SIGNALS.values():
        verdict = decide(program, numbers[COLUMN[machine]], target, 9, architecture=ARCHITECTURE[machine])
        assert verdict == (ERRNO | errno.EPERM if target in denied else ALLOW)
    assert decide(program, 1, target, architecture=ARCHITECTURE[machine]) == ALLOW


def test_other_processors_are_refused_with_a_fix():
    for make in (seccomp.static_filter, seccomp.signal_filter):
        with pytest.raises(SandboxUnavailable, match="riscv64") as caught:
            make("riscv64")
        assert caught.value.fix
