"""User ids for programs, where the host is root: one per slot.

So the process limit of one program does not count the processes of another, and the kernel itself keeps a program away
from its zygote.
"""

from __future__ import annotations

import contextlib
import os
import socket

from r1ci_plugins.errors import InfrastructureFault

JOB_USERS = range(60706, 61184)  # in nobody's use by systemd's list of user ids


class UserLease:
    """A user id that nobody on this machine runs under and no other sandbox has.

    Other sandboxes see it by an abstract socket, which vanishes with this process.
    """

    def __init__(self) -> None:
        taken = _users_of_processes()
        for uid in JOB_USERS:
            if uid in taken:
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


def _users_of_processes() -> set[int]:
    users = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it ended meanwhile
            users.add(os.stat(f"/proc/{name}").st_uid)
    return users
