"""Attacks on the report of how a program ended: forged ones, odd ends, no end."""

from r1ci_plugins.sandbox import canary
from r1ci_plugins.sandbox.checks.attacks.attack import Attack, ended, register_in, shut
from r1ci_plugins.sandbox.checks.bench import ERROR, OK, OUTPUT, TIMEOUT
from r1ci_plugins.sandbox.checks.promises.limits import ENDLESS

ATTACKS: list[Attack] = []
attack = register_in(ATTACKS)


attack(
    "forged-report",
    "Write the zygote's report itself, on every descriptor that there is, and say that all went well.",
    "the program does not have the report's socket; the status comes from the kernel",
    """
for fd in range(3, 300):
    for text in (b"done 0.1 0.1 0 exit -", b"ready 1", b"stop", b"s", b"g"):
        try: os.write(fd, text)
        except OSError: pass
print("done 0.1 0.1 0 exit -")
raise SystemExit(5)
""",
    held=lambda result: (result.status, result.exit_code) == (ERROR, 5),
)
attack(
    "forged-memory-mark",
    "Claim that memory ran out, and end well, or the other way round.",
    "the mark counts only if the program fails",
    """os.write(251, b"m"); print("held")""",
)
attack(
    "forged-order-marks",
    "Forge, cut and repeat the marks that put stdout and stderr in order, learnt from sys.stderr.",
    "marks can change the order of what was written, and nothing else",
    """
token = sys.stderr.buffer.raw.token
for tail in (b"ffffffff", b"zzzzzzzz", b"-0000001", b"00", b"        ", b"0x000001", b"_1_1_1_1"):
    os.write(250, token + tail); os.write(1, token + tail); os.write(250, token[:9])
print("held", file=sys.stderr); print("held")
os.close(250)
print("held again", file=sys.stderr)
""",
    held=lambda result: shut(result) and "held again" in result.stderr and "held again" in result.output,
)
attack(
    "closed-pipes",
    "Close its streams, or point them elsewhere.",
    "the report does not need them",
    """
for fd in (0, 1, 2, 250, 251): os.close(fd)
os.open("/dev/null", os.O_RDWR); os.open("/dev/null", os.O_RDWR)
raise SystemExit(5)
""",
    held=lambda result: (result.status, result.exit_code) == (ERROR, 5),
)
attack(
    "blocked-pipes",
    "Make its pipes small and blocking or full, so that the host waits.",
    "the host reads without blocking",
    """
import fcntl
for fd in (1, 2):
    try: fcntl.fcntl(fd, 1031, 4096)
    except OSError: pass
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK)
    try:
        while True: os.write(fd, b"x" * 4096)
    except OSError: pass
""",
    held=ended(OK, OUTPUT),
)
attack(
    "the-canarys-own-output",
    "Print what the canary prints.",
    "the canary's answer is read only in a new slot",
    canary.program([], []) + "raise SystemExit(4)",
    held=lambda result: (result.status, result.exit_code) == (ERROR, 4),
    needs="namespaces",
)
for _name, _code in ENDLESS.items():
    attack(
        f"never-ends-{_name}",
        "Never end.",
        "SIGKILL at the deadline",
        _code,
        held=ended(TIMEOUT),
        limits={"wall_s": 0.3},
    )
attack(
    "never-ends-vfork",
    "Never end, in processes that the zygote has to find: vfork, threads, stopped ones.",
    "SIGKILL to all at the deadline",
    """
import threading
for _ in range(3):
    if os.fork() == 0:
        os.setsid(); signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64)); os.kill(os.getpid(), 19)
threading.Thread(target=lambda: exec("while True: pass"), daemon=True).start()
libc.vfork and time.sleep(60)
""",
    held=ended(TIMEOUT),
    limits={"wall_s": 0.5},
)
for _name, _code, _status in (
    ("os-exit", "os._exit(0)", OK),
    ("segmentation-fault", "ctypes.string_at(0)", ERROR),
    ("bad-system-call", "os.kill(os.getpid(), signal.SIGSYS)", ERROR),
    ("replaced-by-another-program", "os.execv('/bin/echo', ['echo', 'done 0 0 0 exit -'])", OK),
    ("replaced-streams", "sys.stdout = sys.stderr = None; os._exit(0)", OK),
    ("stdin-reads", "sys.stdin.read(); os.read(0, 10)", OK),
    ("hash-bomb", "x = {i * (2**61 - 1): 0 for i in range(5000)}", OK),
):
    attack(f"ends-by-{_name}", "End in an odd way.", "the status comes from the kernel", _code, held=ended(_status))
