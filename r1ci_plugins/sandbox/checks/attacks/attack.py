"""An attack on a sandbox: its program, how it is tried, and what shows that it failed."""

# ruff: noqa: E501 - programs as they are run
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from r1ci_plugins.errors import InfrastructureFault
from r1ci_plugins.sandbox.checks.bench import OK, Bench, CheckResult, Verdict, processes_named
from r1ci_plugins.sandbox.contract import ExecutionResult, ExecutionStatus

PRELUDE = """\
import ctypes, os, platform, signal, socket, struct, sys, time
open("/proc/self/comm", "w").write(settings["name"])
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    libc.syscall.restype = ctypes.c_long
    numbers = {
        "ptrace": (101, 117), "process_vm_readv": (310, 270), "unshare": (272, 97), "setns": (308, 268),
        "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "memfd_create": (319, 279),
        "memfd_secret": (447, 447), "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186),
        "mq_open": (240, 180), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
        "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
        "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "clone3": (435, 435), "clone": (56, 220),
        "fsopen": (430, 430), "open_tree": (428, 428), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
        "pidfd_send_signal": (424, 424), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
        "rt_tgsigqueueinfo": (297, 240), "prlimit64": (302, 261), "init_module": (175, 105), "reboot": (169, 142),
        "kexec_load": (246, 104), "syslog": (103, 116), "personality": (135, 92), "process_madvise": (440, 440),
        "fanotify_init": (300, 262), "quotactl": (179, 60), "swapon": (167, 224), "setdomainname": (171, 162),
        "kcmp": (312, 272), "adjtimex": (159, 171), "acct": (163, 89), "ioprio_set": (251, 30),
    }
    number = numbers[name][platform.machine() != "x86_64"]
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def attempt(what, act):
    try:
        got = act()
    except OSError as error:
        print("held:", what, error)
    else:
        print("REACHED:", what, repr(got)[:300])
def in_child(act):  # what changes the process that does it must not change the attack
    child = os.fork()
    if child == 0:
        try:
            act()
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.wait()[1])
    if status != 0:
        raise OSError(abs(status), "denied")
above = os.getppid()
others = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
"""


def shut(result: ExecutionResult) -> bool:
    """It ran to its end, something was denied and nothing was reached."""
    return result.status is OK and "held" in result.stdout and "REACHED" not in result.stdout


def ended(*statuses: ExecutionStatus) -> Callable[[ExecutionResult], bool]:
    """It ended in one of these ways and reached nothing."""
    return lambda result: result.status in statuses and "REACHED" not in result.stdout


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        name: Short name.
        tries: What it is after, one sentence.
        code: The program; ``PRELUDE`` and ``settings`` come before it.
        enforced_by: What stops it.
        held: Whether the result shows that it failed; if there is a look, the program only has to end well.
        look: A program that runs next, and must find nothing of the first one (``shut``).
        control: Whether ``code`` and ``look`` in one program must reach it: the look would find it.
        needs: Names of ``bench.CLAIMS``: a sandbox that does not claim them need not stop it.
        limits: Beside the default ones.
        prepare: What it needs on the host, with a control of its own where there can be one; its values are in
            ``settings``.
    """

    name: str
    tries: str
    code: str
    enforced_by: str
    held: Callable[[ExecutionResult], bool] = shut
    look: str = ""
    control: bool = False
    needs: frozenset[str] = frozenset()
    limits: Mapping[str, float] = field(default_factory=dict)
    prepare: Callable[[], AbstractContextManager[dict[str, object]]] = lambda: nullcontext({})

    async def examine(self, bench: Bench) -> CheckResult:
        """Run it, then look for what it left behind."""
        if reason := bench.lacks(self.needs):
            return CheckResult(self.name, self.tries, Verdict.SKIPPED, reason)
        try:
            saw = await self._saw(bench)
        except InfrastructureFault as fault:
            saw = f"the sandbox failed: {fault}"
        return CheckResult(self.name, self.tries, Verdict.BROKEN if saw else Verdict.HELD, saw)

    async def _saw(self, bench: Bench) -> str:
        """What shows that it succeeded; empty if it failed."""
        with self.prepare() as values:
            name = f"r1ci-{secrets.token_hex(4)}"
            head = f"settings = {values | {'name': name}!r}\n{PRELUDE}"
            if self.control:
                result = await bench.run(f"{head}{self.code}\n{self.look}", **self.limits)
                if "REACHED" not in result.stdout:
                    return f"its control does not reach it: {result}"
            result = await bench.run(f"{head}{self.code}", **self.limits)
            if not (self.held if not self.look else ended(OK))(result):
                return str(result)[:3000]
            if self.look:
                result = await bench.run(f"{head}{self.look}", **self.limits)
                if not shut(result):
                    return f"the next program: {result}"[:3000]
        result = await bench.run(PROBE)
        answer, _, processes = result.stdout.partition("\n")
        alone = "processes" not in bench.claims or int(processes or 99) <= 4
        if (result.status, answer, result.stderr) != (OK, PROBE_SAYS, "err\n") or not alone:
            return f"the program after it: {result}"
        left = processes_named(name)
        return f"processes {left} are left" if left else ""


PROBE = """\
import json, os, sys, random
open("file", "w").write("x")
print(sorted(os.listdir(".")), sum(range(10)), json.dumps([1]), random.random())
print(sum(name.isdigit() for name in os.listdir("/proc")))
print("err", file=sys.stderr)
"""
PROBE_SAYS = "['file', 'main.py'] 45 [1] 0.8444218515250481"


def register_in(attacks: list[Attack]) -> Callable[..., None]:
    """Return a function that makes an attack and lists it; its ``needs`` are one string, separated by spaces."""

    def attack(name: str, tries: str, enforced_by: str, code: str, needs: str = "", **more: object) -> None:
        attacks.append(Attack(name, tries, code, enforced_by, needs=frozenset(needs.split()), **more))  # type: ignore[arg-type]

    return attack
