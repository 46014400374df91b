"""The system-call filter of every program: classic BPF, built here as bytes, installed inside the jail by the zygote.

Two filters, because installing one costs time and a job must not pay for it:

* ``static_filter`` is installed once, in the zygote, which needs none of what it denies; every job inherits it.
* ``signal_filter`` is installed in each job, only where jobs share the zygote's user id: it protects the zygote and
  the jail's init from signals. Where every job has a user of its own the kernel does that by itself.

They deny what lets a program escape its limits (memory that no limit sees, kernel objects that outlive it), what only
an administrator needs, and interfaces with a long history of holes. A denied call fails with EPERM, as without
privileges, except where noted. Firejail adds a filter of its own; other backends have only this one.
"""

import platform
import struct
from collections.abc import Mapping, Sequence

from r1ci_plugins.errors import SandboxUnavailable

# Numbers by architecture: (x86_64, aarch64); None where the call does not exist. From Linux's system-call tables.
# fmt: off
_CALLS: Mapping[str, tuple[int | None, int | None]] = {
    # look into or steer other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    # namespaces and mounts
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    # memory and objects that outlive a program or that its limits do not see
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "semget": (64, 190),
    "msgget": (68, 186), "mq_open": (240, 180), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    # large attack surface
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "fanotify_init": (300, 262),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "personality": (135, 92), "vmsplice": (278, 75),
    "lookup_dcookie": (212, 18),
    # the administrator's
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225),
    "syslog": (103, 116), "acct": (163, 89), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "sethostname": (170, 161),
    "setdomainname": (171, 162), "vhangup": (153, 58), "mbind": (237, 235), "set_mempolicy": (238, 237),
    "migrate_pages": (256, 238), "move_pages": (279, 239),
}
# Denied unless the argument of that number is 0, which means the caller itself.
_ONLY_SELF: Mapping[str, tuple[int, int, int]] = {
    "prlimit64": (302, 261, 0), "sched_setaffinity": (203, 122, 0), "sched_setparam": (142, 118, 0),
    "sched_setscheduler": (144, 119, 0), "sched_setattr": (314, 274, 0), "setpriority": (141, 140, 1),
    "ioprio_set": (251, 30, 1),
}
_CLONE, _CLONE3, _SOCKET, _IOCTL = (56, 220), (435, 435), (41, 198), (16, 29)
_SIGNALS: Mapping[str, tuple[int, int]] = {
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
}
# fmt: on
_NEW_NAMESPACES = 0x7E020080  # every CLONE_NEW* flag
_FAMILIES = (1, 2, 10)  # unix, IPv4, IPv6; not vsock, which reaches the host of a virtual machine past any namespace
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX

ZYGOTE = 0x7E57ABCD
"""Stands for the zygote's process id in ``signal_filter``; the zygote, which alone knows it, puts its own there."""

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data

_Instruction = tuple[int, int, int, int]  # code, how many to skip if it holds, and if not, operand


def _argument(index: int) -> int:
    return 16 + 8 * index  # the low half; both architectures are little-endian


def static_filter(machine: str | None = None) -> bytes:
    """Return the filter that zygote and jobs share, as ``struct sock_filter`` records of 8 bytes.

    ``machine`` is as in ``platform.machine()``, by default this one; SandboxUnavailable if there is no table for it.
    """
    column, _ = _machine(machine)
    body: list[_Instruction] = []
    for numbers in _CALLS.values():
        if (number := numbers[column]) is not None:
            body += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    body += [(_EQUAL, 0, 1, _CLONE3[column]), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]  # glibc then uses clone
    body += _denied_by(_CLONE[column], 0, (_ANY_BIT, 0, 1, _NEW_NAMESPACES))
    for *only_self, argument in _ONLY_SELF.values():
        body += _denied_by(only_self[column], argument, (_EQUAL, 1, 0, 0))
    body += _one_of(_SOCKET[column], 0, _FAMILIES, found=_ALLOW, otherwise=_ERRNO | _EAFNOSUPPORT)
    body += _one_of(_IOCTL[column], 1, _TERMINAL_INPUT, found=_ERRNO | _EPERM, otherwise=_ALLOW)
    return _assemble(machine, body)


def signal_filter(machine: str | None = None) -> bytes:
    """Return the filter that keeps a job from signalling zygote, init, or everything at once (``kill(-1)``).

    Argument and error are those of ``static_filter``.
    """
    column, _ = _machine(machine)
    targets = (1, -1, ZYGOTE, -ZYGOTE)
    body: list[_Instruction] = []
    for numbers in _SIGNALS.values():
        body += _one_of(numbers[column], 0, targets, found=_ERRNO | _EPERM, otherwise=_ALLOW)
    return _assemble(machine, body)


def _machine(machine: str | None) -> tuple[int, int]:
    name = machine or platform.machine()
    if name not in _MACHINES:
        raise SandboxUnavailable(
            f"there is no system-call filter for the processor {name!r}",
            fix=f"run the sandbox on one of {', '.join(_MACHINES)}",
        )
    return _MACHINES[name]


def _denied_by(call: int, argument: int, test: _Instruction) -> list[_Instruction]:
    """Instructions for one system call: deny it if the test of an argument goes on, allow it if that skips one."""
    body = [(_EQUAL, 0, 4, call), (_LOAD, 0, 0, _argument(argument)), test]
    return [*body, (_RETURN, 0, 0, _ERRNO | _EPERM), (_RETURN, 0, 0, _ALLOW)]


def _one_of(call: int, argument: int, values: Sequence[int], *, found: int, otherwise: int) -> list[_Instruction]:
    """Instructions for one system call: return ``found`` if an argument is one of the values, else ``otherwise``."""
    count = len(values)
    body = [(_EQUAL, 0, count + 3, call), (_LOAD, 0, 0, _argument(argument))]
    body += [(_EQUAL, count - place, 0, value) for place, value in enumerate(values)]
    return [*body, (_RETURN, 0, 0, otherwise), (_RETURN, 0, 0, found)]


def _assemble(machine: str | None, body: list[_Instruction]) -> bytes:
    _, architecture = _machine(machine)
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, 0x40000000),  # the x32 interface; -1 after a tracer's skip too
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),
        *body,
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", code, yes, no, value & 0xFFFFFFFF) for code, yes, no, value in program)
