"""The folder in which programs run, and what is left of a program there."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from typing import Any

INODE_BYTES = 1024  # what an empty file in a tmpfs costs, so that files without content count too


def identity(path: str) -> tuple[int, int]:
    """What tells a folder from one that was put in its place."""
    status = os.stat(path)
    return status.st_dev, status.st_ino


class Scratch:
    """The folder in which jobs run: each gets a new one.

    Only folders that are proved to be ours are ever changed: those that ``checks_that_fail`` has found to be the
    jail's own, or, without a jail, one that is made here.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.home, self.folders, self.uid = settings["home"], settings["wiped"], settings["uid"]
        if self.home in self.folders:  # firejail puts a .bashrc there, in which a program could leave something
            for name in os.listdir(self.home):
                with contextlib.suppress(OSError):  # a folder, on the way to the interpreter
                    os.unlink(os.path.join(self.home, name))
        else:  # a folder of the host
            self.home = tempfile.mkdtemp(prefix="r1ci-scratch-", dir=self.home)
        self.ours = {folder: identity(folder) for folder in (self.home, *self.folders)}
        self.path = os.path.join(self.home, "scratch")
        if self.uid is not None:
            os.chmod(self.home, 0o711)
        self.kept = set(os.listdir(self.home))
        self.wipe()
        self.baseline = [bytes_in(path) for path in self.folders]

    def check_ours(self) -> None:
        """Raise an OSError if a folder of ours was replaced: then nothing in it may be touched."""
        for folder, ours in self.ours.items():
            if identity(folder) != ours:
                raise OSError(f"{folder} was replaced")

    def wipe(self) -> None:
        """Remove all that a job left and make a folder for the next one; OSError if something cannot be removed."""
        self.check_ours()
        with contextlib.suppress(OSError):  # most programs leave nothing else
            os.unlink(os.path.join(self.path, "main.py"))
            os.rmdir(self.path)
        for folder in self.ours:
            kept = self.kept if folder == self.home else ()
            for name in os.listdir(folder):
                if name not in kept:
                    remove(os.path.join(folder, name))
        if self.uid is None:  # the job owns the parent too, which can carry attributes and times
            for name in os.listxattr(self.home):
                os.removexattr(self.home, name)
            os.utime(self.home, (0, 0))
        os.mkdir(self.path, 0o700)
        if self.uid is not None:
            os.chown(self.path, self.uid, self.uid)

    def used(self) -> int:
        """Bytes that the job's files hold."""
        return sum(bytes_in(path) - before for path, before in zip(self.folders, self.baseline, strict=True))


def remove(path: str) -> None:
    """Remove a file or a whole folder, whatever modes it has and however deep it is.

    Folders in it are first moved up beside it, so that no path gets too long and no recursion too deep.
    """
    if os.path.islink(path) or not os.path.isdir(path):
        os.unlink(path)
        return
    folders = [path]
    while folders:
        folder = folders.pop()
        os.chmod(folder, 0o700)
        with os.scandir(folder) as entries:
            for entry in list(entries):
                if entry.is_dir(follow_symlinks=False):
                    os.chmod(entry.path, 0o700)  # or it could not be moved
                    folders.append(os.path.join(os.path.dirname(path), f"r1ci-removed-{time.monotonic_ns()}"))
                    os.rename(entry.path, folders[-1])
                else:
                    os.unlink(entry.path)
        os.rmdir(folder)


def bytes_in(path: str) -> int:
    """Memory that the files of a tmpfs hold."""
    fs = os.statvfs(path)
    return (fs.f_blocks - fs.f_bfree) * fs.f_frsize + (fs.f_files - fs.f_ffree) * INODE_BYTES
