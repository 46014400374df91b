"""User ids for programs, one per slot, for sandboxes that root starts.

A program's process limit then counts its own processes only, and the kernel keeps the program away from its zygote.
"""

import contextlib
import os
import pwd
import socket

from r1ci_plugins.errors import InfrastructureFault

JOB_USERS = range(60706, 61184)  # unused, according to systemd's list of user ids


class UserLease:
    """A user id that nobody on this machine has, no process runs under and no other sandbox has leased.

    An abstract socket, which vanishes with this process, shows other sandboxes that it is taken.
    """

    def __init__(self) -> None:
        taken = _users_of_processes()
        for uid in JOB_USERS:
            if uid in taken or _has_name(uid):
                continue
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                self._socket.bind(f"\0r1ci-sandbox-user-{uid}")
            except OSError:
                self._socket.close()
                continue
            self.uid = uid
            return
        raise InfrastructureFault(
            f"none of the {len(JOB_USERS)} user ids for programs is free on this machine",
            fix="lower the sandbox's concurrency, or close the other sandboxes",
        )

    def release(self) -> None:
        """Give the user id back."""
        self._socket.close()


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _users_of_processes() -> set[int]:
    users = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it ended meanwhile
            users.add(os.stat(f"/proc/{name}").st_uid)
    return users
