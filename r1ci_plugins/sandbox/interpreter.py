"""The Python that runs the programs: where it lives and what a jail must show of it."""

import json
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from r1ci_plugins.errors import SandboxUnavailable

# Packages with checkers, generators and solvers of tasks, in which a program could look up an answer.
HIDDEN_PACKAGES = ("r1ci_*", "reasoning_gym*")


@dataclass(frozen=True)
class Interpreter:
    """A Python to run programs with: its binary, and its ``sys.path``, both with those of its virtual environment.

    ``folders``, of which one may be a file, must be visible in the jail for that, besides /usr.
    """

    executable: Path
    import_path: tuple[str, ...]
    folders: tuple[Path, ...]

    def hidden_packages(self) -> list[str]:
        """Paths of installed packages that no program may see."""
        return [
            str(found)
            for pattern in HIDDEN_PACKAGES
            for entry in self.import_path
            for found in sorted(Path(entry).glob(pattern))
        ]


def find_interpreter(python: str) -> Interpreter:
    """Ask an interpreter, given by its path or name, where it lives. It runs without a jail.

    Raises:
        SandboxUnavailable: It does not run, or its folders cannot be shown without showing a home directory.
    """
    question = (
        "import json,os,sys;print(json.dumps([sys.executable,sys.prefix,os.path.realpath(sys.base_prefix),sys.path]))"
    )
    try:
        answer = subprocess.run(
            [python, "-I", "-c", question], capture_output=True, check=True, timeout=60, cwd="/", text=True
        )
        executable, environment, prefix, path = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise SandboxUnavailable(
            f"the sandbox's Python does not run: {error}",
            where=python,
            fix="set the sandbox's python to an interpreter that this user may read and execute",
        ) from error
    folders: list[Path] = []
    import_path = []
    for entry in [prefix, *path]:
        folder = Path(os.path.realpath(entry))
        known = any(folder.is_relative_to(seen) for seen in [Path("/usr"), *folders])
        # .pth files may add projects that are developed in place: only libraries are shown.
        if entry == prefix or known or folder.name in ("site-packages", "dist-packages"):
            if not known and folder.exists():
                folders.append(folder)
            if entry != prefix:
                import_path.append(str(folder))
    executable = Path(os.path.realpath(os.path.dirname(executable)), os.path.basename(executable))
    environment = Path(os.path.realpath(environment))
    if (environment / "pyvenv.cfg").is_file():  # a virtual environment: by these Python knows that it belongs to it
        folders += [environment / "pyvenv.cfg", executable.parent]
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    for folder in folders:
        if home.is_relative_to(folder) or folder in (Path("/home"), Path("/tmp"), Path("/var"), Path("/etc")):
            raise SandboxUnavailable(
                f"the jail would have to show all of {folder}, because the sandbox's Python is installed there",
                where=python,
                fix="use a Python with a folder of its own, such as a virtual environment or /usr/bin/python3",
            )
    return Interpreter(executable, tuple(dict.fromkeys(import_path)), tuple(folders))
