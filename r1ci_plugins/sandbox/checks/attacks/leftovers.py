"""Attacks on the next program, by what is left for it."""

# ruff: noqa: E501 - programs as they are run
import secrets
from contextlib import nullcontext

from r1ci_plugins.sandbox.checks.attacks.attack import Attack, ended, register_in
from r1ci_plugins.sandbox.checks.attacks.host import host_abstract_socket
from r1ci_plugins.sandbox.checks.bench import OK

ATTACKS: list[Attack] = []
attack = register_in(ATTACKS)


# Attacks that run at the same time share the files of the library, and their locks: each run takes another file.
LIBRARY_FILE = """
def library_file():
    folder = os.path.dirname(os.__file__)
    files = sorted(name for name in os.listdir(folder) if name.endswith(".py"))
    return os.path.join(folder, files[int(settings["name"].removeprefix("r1ci-"), 16) % len(files)])
"""

attack(
    "memory-of-the-previous-program",
    "Find a secret of the previous program in its own memory, which is a copy of the zygote's.",
    "the zygote never holds code or data",
    """
secret = "r1ci-secret-" + "5eed5eed" * 4
print(len(secret)); copies = [secret + str(i) for i in range(1000)]
os.environ["LEFT"] = secret
""",
    look="""
import re
pattern = re.compile(rb"r1ci-sec" + rb"ret-(?:5eed){8}")
found = 0
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb") as memory:
    for line in maps:
        begin, end = (int(part, 16) for part in line.split()[0].split("-"))
        if "r" in line.split()[1] and "[v" not in line:
            try: memory.seek(begin); data = memory.read(end - begin)
            except (OSError, ValueError, OverflowError): continue
            found += len(pattern.findall(data)); del data
print("REACHED" if found else "held", found)
""",
    control=True,
)
attack(
    "system-v-and-message-queues",
    "Leave SysV shared memory, semaphores, message queues and POSIX ones.",
    "our filter",
    """
attempt("shm", lambda: call("shmget", settings["key"], 4096, 0o1666))
attempt("sem", lambda: call("semget", settings["key"], 1, 0o1666))
attempt("msg", lambda: call("msgget", settings["key"], 0o1666))
attempt("mqueue", lambda: call("mq_open", b"left", 0o102, 0o666, 0))
""",
    prepare=lambda: nullcontext({"key": secrets.randbelow(1 << 30)}),  # programs may not even make such objects
)
attack(
    "abstract-socket",
    "Leave an abstract socket and a process that holds it.",
    "the kill of all its processes",
    """
left = socket.socket(socket.AF_UNIX); left.bind("\\0" + settings["socket"] + "-left"); left.listen()
if os.fork() == 0: os.setsid(); time.sleep(100)
""",
    look="""attempt("connect", lambda: socket.socket(socket.AF_UNIX).connect("\\0" + settings["socket"] + "-left"))""",
    control=True,
    prepare=host_abstract_socket,
)
attack(
    "start-up-files",
    "Make the next program import its code: sitecustomize, usercustomize, .pth, modules that shadow the library's.",
    "the wipe, a fixed import path",
    """
import site
text = "open('/proc/self/comm', 'w').write('r1ci-evil'); print('REACHED')"
for name in ("sitecustomize", "usercustomize", "random", "json", "os", "traceback", "colorsys", "encodings", "codecs"):
    for folder in (".", "..", os.path.expanduser("~"), "/dev/shm", "/tmp"):
        try: open(os.path.join(folder, name + ".py"), "w").write(text)
        except OSError: pass
for folder in {site.getusersitepackages(), os.path.dirname(os.__file__), *sys.path}:
    try:
        os.makedirs(folder, exist_ok=True)
        open(os.path.join(folder, "left.pth"), "w").write("import os; print('REACHED')")
    except OSError: pass
for name in (".pythonrc", ".profile", ".bashrc", ".pdbrc", ".inputrc"): open(name, "w").write(text)
sys.path.insert(0, "/dev/shm"); sys.meta_path.insert(0, None); sys.modules["colorsys"] = sys.modules["os"]
""",
    look="""
import colorsys, random, json, traceback, subprocess
print("held" if hasattr(colorsys, "rgb_to_hsv") else "REACHED")
print(subprocess.run([sys.executable, "-c", "import colorsys; print('held')"], capture_output=True, text=True).stdout)
""",
    needs="read-only scratch",  # or it would leave them on the host for good
)
attack(
    "state-of-the-interpreter",
    "Leave the interpreter changed: builtins, modules, hooks, locale, signals, umask, random state, limits, environment.",
    "fork: each program has its own copy of the interpreter",
    """
import builtins, gc, locale, random, resource, threading, atexit, json, warnings, decimal
builtins.print_ = print; builtins.sum = lambda *a: 7; json.dumps = None; sys.setrecursionlimit(99); os.umask(0)
random.seed(5); signal.signal(signal.SIGTERM, signal.SIG_IGN); os.environ["LEFT"] = "x"; gc.disable()
sys.settrace(lambda *a: None); sys.excepthook = None; decimal.getcontext().prec = 3; os.chdir("/"); os.nice(5)
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20)); signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
atexit.register(lambda: open("/dev/shm/late", "w") if False else None)
signal.setitimer(signal.ITIMER_REAL, 1000)
ctypes.memset(id(256) + 24, 1, 1)
""",
    look="""
import builtins, gc, json, random, resource, decimal
bad = [hasattr(builtins, "print_"), sum([1]) != 1, json.dumps([]) != "[]", sys.getrecursionlimit() == 99, "LEFT" in os.environ,
       os.umask(0o22) == 0, signal.getsignal(signal.SIGTERM) is signal.SIG_IGN, not gc.isenabled(), os.getcwd() == "/",
       decimal.getcontext().prec == 3, os.nice(0) == 5, resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 20,
       signal.SIGALRM in signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getitimer(signal.ITIMER_REAL)[0] > 0, 255 + 1 != 256]
print("REACHED" if any(bad) else "held", bad)
""",
)
attack(
    "locks-and-owners",
    "Leave file locks, leases and owners on files that the next program uses.",
    "the kill of all its processes, the wipe",
    LIBRARY_FILE
    + """
import fcntl
kept = open(library_file()); fcntl.flock(kept, fcntl.LOCK_EX)
if os.fork() == 0: os.setsid(); time.sleep(100)
""",
    look=LIBRARY_FILE
    + """
import fcntl
kept = open(library_file()); fcntl.flock(kept, fcntl.LOCK_EX | fcntl.LOCK_NB); print("held")
""",
    needs="processes",
)
attack(
    "daemons",
    "Leave processes that detached themselves, and that fork all the time.",
    "the zygote, which kills until no process is left",
    """
if os.fork() == 0:
    os.setsid()
    os.fork()
    time.sleep(1000)
time.sleep(0.3)
print("done")
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        while True:
            if os.fork() != 0: os._exit(0)
""",
    held=ended(OK),
    limits={"processes": 30},
)
