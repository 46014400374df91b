"""The canary: a program run in a real jail that shows whether the jail isolates.

Firejail can run a command without any isolation and still exit with status 0, so nothing that it says is believed.
``PROGRAM`` looks around where untrusted programs run, and ``checks_of`` says what that means.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMESPACES = ("mnt", "pid", "net", "ipc", "uts")

CHECKS = {
    "seccomp": "system calls are filtered",
    "no-new-privileges": "no program can gain privileges, by setuid files for instance",
    "capabilities": "programs have no capabilities",
    "unprivileged-user": "programs do not run as root",
    "namespaces": "mounts, processes, network, IPC and host name are the jail's own",
    "network": "loopback is the only network interface",
    "route-out": "connections to the outside fail at once",
    "processes": "no process of the host is visible",
    "environment": "no environment variable of the host is visible",
    "hidden-files": "files of the host are not visible",
    "read-only": "nothing but scratch can be written to",
    "scratch": "the scratch directory holds main.py alone and is writable",
}
"""What the canary checks, and what each means."""

NOT_WRITABLE = ("/", "/tmp", "/var/tmp", "/etc", "/usr", "/run/lock")
"""Folders in which no jail lets a program write."""

# Runs as an untrusted program does. Its only input is appended to it: look(sentinels, writable_probes).
PROGRAM = """\
import json, os, socket

def look(sentinels, writable_probes):
    status = {name: text.strip() for name, _, text in (line.partition(":") for line in open("/proc/self/status"))}
    def writable(folder):
        path = os.path.join(folder, "canary-probe")
        try:
            open(path, "x").close()
        except OSError:
            return False
        os.unlink(path)
        return True
    def readable(path):
        try:
            open(path, "rb").close()
        except OSError:
            return False
        return True
    def connects():
        try:
            socket.create_connection(("192.0.2.1", 9), timeout=0.2).close()
        except OSError as error:
            return not isinstance(error, (PermissionError, ConnectionError)) and error.errno != 101
        return True
    print(json.dumps({
        "status": {name: status.get(name) for name in ("Seccomp", "NoNewPrivs", "CapEff", "CapPrm", "Uid")},
        "namespaces": {name: os.readlink("/proc/self/ns/" + name) for name in %(namespaces)r},
        "interfaces": [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line],
        "processes": sum(entry.isdigit() for entry in os.listdir("/proc")),
        "environment": sorted(os.environ),
        "readable": [path for path in [*sentinels, "/etc/shadow"] if readable(path)],
        "writable": [folder for folder in writable_probes if writable(folder)],
        "scratch": os.listdir("."),
        "scratch_writable": writable("."),
        "route_out": connects(),
    }))

""" % {"namespaces": NAMESPACES}  # noqa: UP031 - braces abound


@dataclass(frozen=True)
class Check:
    """One of ``CHECKS``: whether it holds, and what the canary saw."""

    name: str
    holds: bool
    saw: str


def program(sentinels: Collection[Path], writable_probes: Collection[str]) -> str:
    """Return the canary's source: it tries to read the sentinels and to create a file in each of the other folders."""
    return f"{PROGRAM}look({[str(path) for path in sentinels]!r}, {list(writable_probes)!r})\n"


@contextlib.contextmanager
def sentinels(*more: str) -> Iterator[list[Path]]:
    """Files of the host that everybody may read and a jail must hide; some are made, also in ``more`` folders."""
    with contextlib.ExitStack() as stack:
        found = [Path(__file__).resolve()]
        for parent in dict.fromkeys([tempfile.gettempdir(), "/var/tmp", "/dev/shm", *more]):
            with contextlib.suppress(OSError):
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="r1ci-canary-", dir=parent))
                os.chmod(folder, 0o755)
                found.append(Path(folder, "sentinel"))
                found[-1].write_text("visible")
                found[-1].chmod(0o644)
        yield found


def host_namespaces() -> dict[str, str]:
    """Return the namespaces that this process lives in; a jail must share none of them."""
    return {name: os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES}


def host_devices(folders: Collection[str]) -> set[int]:
    """Return the device numbers of the host's file systems; a folder that a jail empties must have none of them.

    The number of a mount is not always that of the files in it, so those of ``folders`` are included.
    """
    with open("/proc/self/mountinfo") as mounts:
        devices = {os.makedev(*map(int, line.split()[2].split(":"))) for line in mounts}
    return devices | {os.stat(folder).st_dev for folder in folders if os.path.exists(folder)}


def checks_of(output: str, environment: Collection[str]) -> list[Check]:
    """Say for all checks whether they hold, by the canary's whole output; if that cannot be read, none does.

    ``environment`` has the names of the variables that a program may see.
    """
    try:
        return _checks(json.loads(output), host_namespaces(), environment)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return [Check(name, False, f"unreadable, {error!r}: {output[:200]!r}") for name in CHECKS]


def _checks(seen: Mapping[str, Any], host: Mapping[str, str], environment: Collection[str]) -> list[Check]:
    status = seen["status"]
    shared = [name for name, link in host.items() if seen["namespaces"][name] == link]
    extra = sorted(set(seen["environment"]) - set(environment))
    checks = {
        "seccomp": (status["Seccomp"] == "2", f"mode {status['Seccomp']}"),
        "no-new-privileges": (status["NoNewPrivs"] == "1", f"NoNewPrivs {status['NoNewPrivs']}"),
        "capabilities": (
            int(status["CapEff"], 16) == 0 == int(status["CapPrm"], 16),
            f"CapEff {status['CapEff']}, CapPrm {status['CapPrm']}",
        ),
        "unprivileged-user": ("0" not in status["Uid"].split(), f"user ids {status['Uid'].split()}"),
        "namespaces": (not shared, f"shares {', '.join(shared)} with the host"),
        "network": (seen["interfaces"] == ["lo"], f"interfaces {seen['interfaces']}"),
        "route-out": (seen["route_out"] is False, "a connection to the outside did not fail at once"),
        "processes": (seen["processes"] <= 8, f"{seen['processes']} processes in /proc"),
        "environment": (not extra, f"variables {extra}"),
        "hidden-files": (seen["readable"] == [], f"can read {seen['readable']}"),
        "read-only": (seen["writable"] == [], f"can write to {seen['writable']}"),
        "scratch": (
            seen["scratch"] == ["main.py"] and seen["scratch_writable"] is True,
            f"holds {seen['scratch']}, writable: {seen['scratch_writable']}",
        ),
    }
    return [Check(name, holds, saw) for name, (holds, saw) in checks.items()]
