"""Suites as data: which tasks belong together, what each takes, which are trained on and which are held out.

A split file lists its tasks, one a line; the file ``default`` has the 144 of the paper's three suites. The suite of a
task is its pack::

    tasks:
      symbench/boxlift: {capability: planning, part: train}
      bbh/navigate: {capability: planning, part: test}
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import yaml

from r1ci_plugins.errors import RecipeError, suggest

PARTS = ("train", "test")
CAPABILITIES = ("execution", "planning", "reasoning")


@dataclass(frozen=True)
class Member:
    """One task's place: its capability class, and whether it is trained on (``train``) or held out (``test``)."""

    capability: str
    part: str


@dataclass(frozen=True)
class Suite:
    """A split of tasks by name.

    Attributes:
        name: As the recipe names it.
        members: Every task's place, by qualified name ``pack/task``.
    """

    name: str
    members: Mapping[str, Member]

    def tasks(self, part: str, without: Collection[str] = ()) -> list[str]:
        """The tasks of one part, in the file's order, but those left out.

        Args:
            part: ``train`` or ``test``.
            without: Packs and qualified task names to leave out.

        Raises RecipeError if a name to leave out is none of the suite's, or nothing is left.
        """
        known = set(self.members) | {name.partition("/")[0] for name in self.members}
        for name in without:
            if name not in known:
                raise RecipeError(
                    f"the suite {self.name!r} has neither a pack nor a task {name!r} to leave out",
                    where="recipe key tasks, without",
                    fix=suggest(name, known),
                )
        left = [
            name
            for name, member in self.members.items()
            if member.part == part and not {name, name.partition("/")[0]} & set(without)
        ]
        if not left:
            raise RecipeError(
                f"the suite {self.name!r} has no tasks left in its part {part!r}", where="recipe key tasks, without"
            )
        return left


def load_suite(name: str) -> Suite:
    """Read a split file.

    Args:
        name: One of those that come with this package, such as ``default``, or the path of a YAML file.

    Raises:
        RecipeError: If there is no such file, or it is no split; the message says which line is wrong.
    """
    folder = files("r1ci_plugins.questions") / "suites"
    shipped = sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))
    source = folder / f"{name}.yaml" if name in shipped else Path(name)
    try:
        data = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"there is no suite {name!r}, and no file of that name that can be read",
            where="recipe key tasks, suite",
            fix=f"{suggest(name, shipped)}, or give the path of a YAML file (see r1ci_plugins/questions/suite.py)",
        ) from error
    except yaml.YAMLError as error:
        raise RecipeError(f"the suite is not valid YAML: {error}", where=name) from error
    tasks = data.get("tasks") if isinstance(data, dict) else None
    if not isinstance(tasks, dict) or not tasks or set(data) != {"tasks"}:
        raise RecipeError(
            "a suite has one key, tasks, with a mapping of task names below it",
            where=name,
            fix="write one line per task, such as  symbench/boxlift: {capability: planning, part: train}",
        )
    return Suite(name, {str(task): _member(str(task), place, name) for task, place in tasks.items()})


def _member(task: str, place: object, where: str) -> Member:
    allowed = {"capability": CAPABILITIES, "part": PARTS}
    if task.count("/") != 1 or not isinstance(place, dict) or set(place) != set(allowed):
        raise RecipeError(
            f"{task}: a task is written pack/task, with its capability and part",
            where=where,
            fix=f"write  {task if '/' in task else 'pack/' + task}: {{capability: planning, part: train}}",
        )
    for key, values in allowed.items():
        if place[key] not in values:
            raise RecipeError(
                f"{task}: the {key} is {place[key]!r}", where=where, fix=f"use one of {', '.join(values)}"
            )
    return Member(**place)
