"""Load task packs: those that are installed, those that a plugin registers, and one from a folder."""

import sys
import tomllib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from types import MappingProxyType

from r1ci_plugins.errors import PluginError, suggest
from r1ci_plugins.plugins import discovery
from r1ci_plugins.plugins.discovery import Announced, Hooks, Origin
from r1ci_plugins.tasks.task import Task, TaskPack


def load_packs(
    names: Collection[str] | None = None,
    *,
    own: Mapping[str, TaskPack] = MappingProxyType({}),
    path: Sequence[str] | None = None,
) -> dict[str, TaskPack]:
    """Load the named task packs, or all there are. ``own`` are those that plugins register (``Plugins.packs``).

    Raises:
        PluginError: If a pack is missing, announced twice, or broken.
    """
    known = discovery.find("task pack", discovery.PACKS, path)
    available = {one.origin.name for one in known} | set(own)
    packs: dict[str, TaskPack] = {}
    for name in sorted(available if names is None else set(names)):
        if name not in available:
            raise discovery.misannounced("task pack", name, path) or missing_pack(name, available)
        chosen = [one for one in known if one.origin.name == name]
        discovery.refuse_duplicates(chosen)
        if name in own and chosen:
            raise PluginError(
                f"a plugin registers the task pack {name!r}, and one of that name is installed",
                where=str(chosen[0].origin),
                fix="leave the plugin out, or uninstall the pack",
            )
        packs[name] = own[name] if name in own else load_announced_pack(chosen[0])
    return packs


def loadable_packs(names: Collection[str] | None = None) -> tuple[dict[str, TaskPack], list[PluginError]]:
    """The named packs; or all that load, and why the others do not, so that a broken one hides no other.

    Raises:
        PluginError: A named pack is missing or broken.
    """
    if names is not None:
        return load_packs(names), []
    packs: dict[str, TaskPack] = {}
    errors: list[PluginError] = []
    for name in sorted({one.origin.name for one in discovery.find("task pack", discovery.PACKS, None)}):
        try:
            packs |= load_packs([name])
        except PluginError as error:
            errors.append(error)
    return packs, errors


def find_task(name: str) -> tuple[str, Task]:
    """An installed task, named ``pack/task`` or alone, and its pack; PluginError if there is none, or several."""
    pack_name, slash, _ = name.rpartition("/")
    packs, broken = (load_packs([pack_name]), []) if slash else loadable_packs()
    tasks = {f"{pack}/{task.name}": (pack, task) for pack in packs for task in packs[pack].tasks}
    matches = [full for full in tasks if name in (full, full.split("/")[1])]
    if len(matches) == 1:
        return tasks[matches[0]]
    if matches:
        raise PluginError(f"several packs have a task {name!r}", fix=f"name one of {', '.join(sorted(matches))}")
    if broken:
        raise broken[0]
    known = tasks if slash else {full.split("/")[1] for full in tasks}
    raise PluginError(f"there is no task {name!r}", fix=f"{suggest(name, known)}; see `r1ci tasks list`")


def load_pack(reference: str) -> TaskPack:
    """Load one pack by its name, or by where it is: a folder with a ``pyproject.toml``, or a module or package.

    A pack that is named by its place need not be installed; its folder is put on ``sys.path``.

    Raises:
        PluginError: If it is missing, its ``pyproject.toml`` announces no pack or several, or it is broken.
    """
    place = Path(reference)
    known = [one.origin.name for one in discovery.find("task pack", discovery.PACKS, None)]
    if reference in known or not (place.exists() or len(place.parts) > 1 or place.suffix == ".py"):
        return load_packs([reference])[reference]
    if not place.exists():
        raise PluginError(
            f"there is no {reference}", fix=f"name an installed pack or a folder; {suggest(reference, known)}"
        )
    place = place.resolve()
    if (project := place / "pyproject.toml").is_file():
        name, target = _entry_point(project)
        folders = [place, place / "src"]
    else:
        name, target, folders = "", place.stem, [place.parent]
    sys.path[:0] = [str(folder) for folder in folders if folder.is_dir() and str(folder) not in sys.path]
    origin = Origin("task pack", name or target, str(place), "(not installed)")
    announced = Announced(origin, EntryPoint(name or target, target, discovery.PACKS))
    if name:
        return load_announced_pack(announced)
    packs = packs_of(origin, discovery.load_hooks(announced))
    if len(packs) != 1:
        raise discovery.wrong_type(origin, "r1ci_task_packs", list(packs), "one pack")
    return next(iter(packs.values()))


def _entry_point(project: Path) -> tuple[str, str]:
    """Name and target of the one pack that a ``pyproject.toml`` announces."""
    try:
        groups = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {}).get("entry-points", {})
    except (OSError, ValueError) as error:
        raise PluginError(f"it cannot be read: {error}", where=str(project)) from error
    packs = groups.get(discovery.PACKS, {})
    if len(packs) != 1:
        raise PluginError(
            f"it announces {len(packs)} task packs",
            where=str(project),
            fix=f'add one: [project.entry-points."{discovery.PACKS}"], then name = "module"',
        )
    return next(iter(packs.items()))


def pack_versions(names: Collection[str], *, path: Sequence[str] | None = None) -> list[Origin]:
    """Where the named packs come from, those that are installed on their own."""
    return [one.origin for one in discovery.find("task pack", discovery.PACKS, path) if one.origin.name in names]


def missing_pack(name: str, known: Collection[str]) -> PluginError:
    """The error for a pack that is not installed."""
    command = f"pip install r1ci-tasks-{name.replace('_', '-').lower()}"
    return PluginError(f"the task pack {name!r} is not installed", fix=f"{command}; {suggest(name, known)}")


def packs_of(origin: Origin, hooks: Hooks) -> dict[str, TaskPack]:
    """The packs that a plugin's hooks register, by name; PluginError if that fails or gives anything else."""
    if "r1ci_task_packs" not in hooks:
        return {}
    given = discovery.call_hook(origin, "r1ci_task_packs", hooks["r1ci_task_packs"], {})
    if not isinstance(given, Sequence) or not all(isinstance(pack, TaskPack) for pack in given):
        raise discovery.wrong_type(origin, "r1ci_task_packs", given, "a list of TaskPack")
    twice = [name for name, count in Counter(pack.name for pack in given).items() if count > 1]
    if twice:
        raise discovery.wrong_type(origin, "r1ci_task_packs", twice, "packs of different names")
    return {pack.name: pack for pack in given}


def load_announced_pack(announced: Announced) -> TaskPack:
    """The one pack of an entry point. It has the entry point's name, so that a recipe's pack is found by name."""
    origin = announced.origin
    packs = packs_of(origin, discovery.load_hooks(announced))
    if list(packs) != [origin.name]:
        raise PluginError(
            f"the entry point {origin.name!r} registers the task packs {list(packs)}",
            where=f"{origin.distribution} {origin.version}, {announced.entry_point.value}",
            fix=f"let it register one pack, named {origin.name!r}; a second pack gets an entry point of its own",
        )
    return packs[origin.name]
