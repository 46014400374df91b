"""A cache of generated questions on disk, so that slow tasks are generated once.

Content-addressed: a file's name is the hash of everything that decides its content, the pack's source and the versions
of what it depends on included, so a changed pack never meets its old questions. Files are written atomically; one that
cannot be read is as good as none. The folder is ``$R1CI_CACHE`` or ``~/.cache/r1ci`` and may be deleted at any time.
"""

import gzip
import hashlib
import json
import logging
import os
import re
import sys
import zlib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from r1ci_plugins.errors import TaskError
from r1ci_plugins.plugins.packs import pack_versions
from r1ci_plugins.questions import splits
from r1ci_plugins.rollout.whole_file import write_whole
from r1ci_plugins.tasks.task import Question, Task, TaskPack

VARIABLE = "R1CI_CACHE"

_FORMAT = 1
_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where r1ci keeps what it can make again."""
    return Path(os.environ.get(VARIABLE) or Path.home() / ".cache" / "r1ci")


class QuestionCache:
    """The cached candidates of one pack, by task and place in its stream."""

    def __init__(self, pack: TaskPack, folder: Path) -> None:
        self._pack = pack.name
        self._source = pack_source(pack)
        self._folder = folder / "questions"

    def read(self, task: Task, place: Sequence[object]) -> list[Question | None] | None:
        """What was written for a task and place; None if there is nothing that can be read."""
        try:
            text = gzip.decompress(self._file(task, place).read_bytes()).decode()
            return [None if line == "null" else Question.from_json(line) for line in text.splitlines()]
        except (OSError, EOFError, zlib.error, UnicodeDecodeError, TaskError):  # missing, cut short, spoilt
            return None

    def write(self, task: Task, place: Sequence[object], candidates: Sequence[Question | None]) -> None:
        """Keep candidates of a task. A full or read-only disk is logged, not raised: they can be made again."""
        if not _cacheable(self._pack, task):
            return
        file = self._file(task, place)
        # One line each: JSON escapes line ends, and so must the separators that only str.splitlines knows.
        lines = ["null" if one is None else json.dumps(json.loads(one.to_json())) for one in candidates]
        try:
            write_whole(file, gzip.compress("\n".join(lines).encode(), mtime=0))
        except OSError as error:
            _log.warning("the question cache cannot be written: %s", error)

    def _file(self, task: Task, place: Sequence[object]) -> Path:
        address = json.dumps([_FORMAT, self._source, self._pack, task.name, *place])
        digest = hashlib.sha256(address.encode()).hexdigest()
        return self._folder / digest[:2] / f"{digest}.jsonl.gz"


def _cacheable(pack: str, task: Task) -> bool:
    """Not where questions come from data of the user's, which may change under the same name and are read fast."""
    return task.size is None and not any(name.startswith(f"R1CI_{pack.upper()}") for name in os.environ)


def pack_source(pack: TaskPack) -> str:
    """A hash of what decides a pack's questions: its files, the versions of its requirements, our way of drawing."""
    digest = hashlib.sha256(Path(splits.__file__).read_bytes())
    for module_name in sorted({type(task).__module__.partition(".")[0] for task in pack.tasks}):
        module = sys.modules[module_name]
        folders = [Path(folder) for folder in getattr(module, "__path__", ())]
        files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
        if not folders and module.__file__:
            files.append(Path(module.__file__))
        for file in sorted(file for file in files if file.suffix != ".pyc"):
            digest.update(file.name.encode() + file.read_bytes())
    for origin in pack_versions([pack.name]):
        names = [re.split(r"[^\w.-]", requirement)[0] for requirement in requires(origin.distribution) or ()]
        for name in sorted({origin.distribution, *names} - {"r1ci-plugins"}):
            try:
                digest.update(f"{name} {version(name)}\n".encode())
            except PackageNotFoundError:  # an extra that is not installed
                continue
    return digest.hexdigest()
