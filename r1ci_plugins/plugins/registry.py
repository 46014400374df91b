"""Find, load and check plugins and task packs. A broken one stops the start and is named; none is skipped silently.

Plugins are entry points of the group ``r1ci.plugins``, task packs of ``r1ci.task_packs``. The built-in behaviour is
the plugin ``r1ci``, announced the same way. There is no global plugin manager: what is loaded is a ``Plugins`` value.
Each function that looks at installed distributions takes ``path``, the folders to look in (default: ``sys.path``).
"""

from __future__ import annotations

import logging
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pluggy

from r1ci_plugins import hookspecs
from r1ci_plugins.errors import PluginError, R1CIError, RecipeError, suggest
from r1ci_plugins.tasks.task import TaskPack

if TYPE_CHECKING:
    from r1ci_plugins.protocol.answer_format import AnswerFormat
    from r1ci_plugins.recipe.schema import Recipe, SandboxConfig
    from r1ci_plugins.rewards.terms import RewardTerm
    from r1ci_plugins.rewards.verifier import Verifier
    from r1ci_plugins.rollout.trajectory import Trajectory
    from r1ci_plugins.sandbox.contract import Sandbox
    from r1ci_plugins.training.loss_mask import LossMask

PLUGINS = "r1ci.plugins"
PACKS = "r1ci.task_packs"

_log = logging.getLogger(__name__)


class _Kind(NamedTuple):
    noun: str
    key: str  # where a recipe names it
    options: str  # where a recipe gives its options


# One line per hook that returns factories by name; ``r1ci_`` before the key is the hook's name.
KINDS: Mapping[str, _Kind] = {
    "answer_formats": _Kind("answer format", "protocol.answer_format", "protocol.answer_format_options"),
    "sandboxes": _Kind("sandbox", "sandbox.backend", "sandbox.options"),
    "verifiers": _Kind("verifier", "verifier.name", "verifier.options"),
    "reward_terms": _Kind("reward term", "rewards", "rewards.{name}"),
    "loss_masks": _Kind("loss mask", "mask.code_outputs", "mask"),
}


@dataclass(frozen=True)
class Origin:
    """Where something comes from.

    Attributes:
        kind: ``plugin`` or ``task pack``.
        name: The entry point's name.
        distribution: The installed distribution that announces it.
        version: Its version.
    """

    kind: str
    name: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} of {self.distribution} {self.version}"


@dataclass(frozen=True)
class Installed:
    """One announced plugin or pack, loaded on trial.

    Attributes:
        origin: Where it comes from.
        registers: What it registers, such as ``answer format natural``; empty when broken.
        error: Why it cannot be used; empty when it can.
    """

    origin: Origin
    registers: tuple[str, ...]
    error: str


@dataclass(frozen=True)
class _Announced:
    origin: Origin
    entry_point: EntryPoint


@dataclass(frozen=True)
class Plugins:
    """What the loaded plugins registered.

    Attributes:
        answer_formats: Factories of answer formats by name; the other mappings likewise.
        packs: Task packs that the plugins registered themselves; ``load_packs`` adds those installed on their own.
        versions: The loaded plugins, in the order they were named.
    """

    answer_formats: Mapping[str, Callable[..., AnswerFormat]]
    sandboxes: Mapping[str, Callable[..., Sandbox]]
    verifiers: Mapping[str, Callable[..., Verifier]]
    reward_terms: Mapping[str, Callable[..., RewardTerm]]
    loss_masks: Mapping[str, Callable[..., LossMask]]
    packs: Mapping[str, TaskPack]
    versions: tuple[Origin, ...]
    _trainer_arguments: tuple[tuple[Origin, Callable[..., Any]], ...]
    _observers: tuple[tuple[Origin, Callable[..., Any]], ...]

    def make(self, kind: str, name: str, options: Mapping[str, Any]) -> Any:
        """Build what a recipe names.

        Args:
            kind: ``answer_formats``, ``sandboxes``, ``verifiers``, ``reward_terms`` or ``loss_masks``.
            name: The name in the recipe.
            options: Keyword arguments for the factory; values are checked against its annotations.

        Raises:
            RecipeError: If the name or an option is unknown, missing, or of the wrong type, or the factory refuses.
        """
        from r1ci_plugins.recipe.schema import checked_options  # pydantic: only where a recipe is used

        noun, key, options_key = KINDS[kind]
        factories: Mapping[str, Callable[..., Any]] = getattr(self, kind)
        if name not in factories:
            raise RecipeError(
                f"there is no {noun} {name!r}",
                where=f"recipe key {key}",
                fix=f"{suggest(name, factories)}; or name the plugin that offers it with --plugin",
            )
        where = f"recipe key {options_key.format(name=name)}"
        arguments = checked_options(factories[name], options, what=f"{noun} {name!r}", where=where)
        try:
            return factories[name](**arguments)
        except R1CIError:
            raise
        except Exception as error:
            raise RecipeError(
                f"the {noun} {name!r} refuses its options: {type(error).__name__}: {error}",
                where=where,
                fix=f"given were {dict(options)}",
            ) from error

    def trainer_arguments(self, recipe: Recipe, command: str) -> dict[str, object]:
        """The OpenRLHF flags that plugins set for ``train_ppo`` or ``train_sft``, by dotted name.

        Raises:
            PluginError: If a plugin fails, returns no mapping, or two plugins set one flag to different values.
        """
        flags: dict[str, object] = {}
        owner: dict[str, Origin] = {}
        for origin, hook in self._trainer_arguments:
            given = _call(origin, "r1ci_trainer_arguments", hook, {"recipe": recipe, "command": command})
            if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
                raise _wrong_type(origin, "r1ci_trainer_arguments", given, "a mapping of flag names to values")
            for name, value in given.items():
                if name in flags and flags[name] != value:
                    raise PluginError(
                        f"two plugins set the trainer flag {name!r}: {flags[name]!r} and {value!r}",
                        where=f"{owner[name]}; {origin}",
                        fix="use one of the two plugins",
                    )
                flags[name], owner[name] = value, origin
        return flags

    def notify(self, trajectory: Trajectory) -> None:
        """Show a finished trajectory to every observer. An observer's exception is logged, never raised."""
        for origin, observe in self._observers:
            try:
                observe(trajectory=trajectory)
            except Exception:
                _log.exception("r1ci_trajectory_finished of %s failed; the trajectory is kept", origin)


@dataclass(frozen=True)
class Parts:
    """What a recipe names, built. The verifier is not here: worker processes build it (``VerifierPool``)."""

    answer_format: AnswerFormat
    instructions: str
    sandbox: Sandbox
    reward_terms: Mapping[str, RewardTerm]
    loss_mask: LossMask


def assemble(recipe: Recipe, plugins: Plugins) -> Parts:
    """Build the parts that a recipe names; nothing is started.

    Raises:
        RecipeError: As ``Plugins.make``; the verifier's name and options are checked too.
    """
    protocol = recipe.protocol
    plugins.make("verifiers", recipe.verifier.name, recipe.verifier.options)
    answer_format = plugins.make("answer_formats", protocol.answer_format, protocol.answer_format_options)
    return Parts(
        answer_format,
        protocol.instructions or answer_format.instructions,
        make_sandbox(recipe.sandbox, plugins),
        {name: plugins.make("reward_terms", name, options) for name, options in recipe.rewards.items()},
        plugins.make("loss_masks", recipe.mask.code_outputs, {}),
    )


def make_sandbox(section: SandboxConfig, plugins: Plugins) -> Sandbox:
    """Build the sandbox of a recipe's ``sandbox`` section; it is not started.

    Raises:
        RecipeError: As ``Plugins.make``.
    """
    place = {"concurrency": section.concurrency, "python": section.python}
    sandbox: Sandbox = plugins.make("sandboxes", section.backend, section.options | place)
    return sandbox


def load_plugins(names: Sequence[str], *, path: Sequence[str] | None = None) -> Plugins:
    """Load the named plugins and check everything they register.

    Args:
        names: Plugins, as named with ``--plugin``.
        path: Where to look for distributions.

    Raises:
        PluginError: If a name is unknown, given twice or announced twice, a plugin does not load, has a misspelt
            hook, a hook that raises or returns the wrong type, or two plugins register the same name.
    """
    known = _announced("plugin", PLUGINS, path)
    loaded: list[tuple[Origin, _Hooks]] = []
    for name in names:
        if list(names).count(name) > 1:
            raise PluginError(f"the plugin {name!r} is named twice", where="--plugin", fix="name it once")
        chosen = [one for one in known if one.origin.name == name]
        if not chosen:
            raise PluginError(
                f"there is no plugin {name!r}",
                where="--plugin",
                fix=f"{suggest(name, {one.origin.name for one in known})}; `r1ci plugins` lists what is installed",
            )
        _refuse_duplicates(chosen)
        loaded.append((chosen[0].origin, _load(chosen[0])))

    factories: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        factories[kind] = _merge(KINDS[kind].noun, [(o, _factories(o, hooks, kind)) for o, hooks in loaded])
    return Plugins(
        **factories,
        packs=_merge("task pack", [(origin, _packs(origin, hooks)) for origin, hooks in loaded]),
        versions=tuple(origin for origin, _ in loaded),
        _trainer_arguments=_implementations(loaded, "r1ci_trainer_arguments"),
        _observers=_implementations(loaded, "r1ci_trajectory_finished"),
    )


def load_packs(
    names: Collection[str] | None = None, *, plugins: Plugins | None = None, path: Sequence[str] | None = None
) -> dict[str, TaskPack]:
    """Load task packs by name.

    Args:
        names: The packs to load; None means every one there is.
        plugins: Loaded plugins, whose own packs count too.
        path: Where to look for distributions.

    Raises:
        PluginError: If a pack is missing, announced twice, or broken.
    """
    own = dict(plugins.packs) if plugins else {}
    known = _announced("task pack", PACKS, path)
    available = {one.origin.name for one in known} | set(own)
    packs: dict[str, TaskPack] = {}
    for name in sorted(available if names is None else set(names)):
        if name not in available:
            raise missing_pack(name, available)
        chosen = [one for one in known if one.origin.name == name]
        _refuse_duplicates(chosen)
        if name in own and chosen:
            raise PluginError(
                f"a plugin registers the task pack {name!r}, and one of that name is installed",
                where=str(chosen[0].origin),
                fix="leave the plugin out, or uninstall the pack",
            )
        packs[name] = own[name] if name in own else _load_pack(chosen[0])
    return packs


def load_pack(reference: str) -> TaskPack:
    """Load one pack by its name, or by where it is: a folder with a ``pyproject.toml``, or a module or package.

    A pack that is named by its place need not be installed; its folder is put on ``sys.path``.

    Raises:
        PluginError: If it is missing, its ``pyproject.toml`` announces no pack or several, or it is broken.
    """
    place = Path(reference)
    known = [one.origin.name for one in _announced("task pack", PACKS, None)]
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
    announced = _Announced(origin, EntryPoint(name or target, target, PACKS))
    if name:
        return _load_pack(announced)
    packs = _packs(origin, _load(announced))
    if len(packs) != 1:
        raise _wrong_type(origin, "r1ci_task_packs", list(packs), "one pack")
    return next(iter(packs.values()))


def _entry_point(project: Path) -> tuple[str, str]:
    """Name and target of the one pack that a ``pyproject.toml`` announces."""
    try:
        groups = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {}).get("entry-points", {})
    except (OSError, ValueError) as error:
        raise PluginError(f"it cannot be read: {error}", where=str(project)) from error
    packs = groups.get(PACKS, {})
    if len(packs) != 1:
        raise PluginError(
            f"it announces {len(packs)} task packs",
            where=str(project),
            fix=f'add one: [project.entry-points."{PACKS}"], then name = "module"',
        )
    return next(iter(packs.items()))


def pack_versions(names: Collection[str], *, path: Sequence[str] | None = None) -> list[Origin]:
    """Where the named packs come from, those that are installed on their own."""
    return [one.origin for one in _announced("task pack", PACKS, path) if one.origin.name in names]


def missing_pack(name: str, known: Collection[str]) -> PluginError:
    """The error for a pack that is not installed."""
    command = f"pip install r1ci-tasks-{name.replace('_', '-').lower()}"
    return PluginError(f"the task pack {name!r} is not installed", fix=f"{command}; {suggest(name, known)}")


def installed(*, path: Sequence[str] | None = None) -> list[Installed]:
    """Every announced plugin and pack, each loaded on trial; a broken one carries its error. Never raises."""
    found = _announced("plugin", PLUGINS, path) + _announced("task pack", PACKS, path)
    listing = []
    for one in found:
        try:
            _refuse_duplicates([other for other in found if _same_name(one, other)])
            if one.origin.kind == "task pack":
                pack = _load_pack(one)
                registers = [f"{len(pack.tasks)} tasks"]
            else:
                registers = _registrations(one)
            listing.append(Installed(one.origin, tuple(registers), ""))
        except Exception as error:
            listing.append(Installed(one.origin, (), str(error)))
    return listing


_Hooks = dict[str, Callable[..., Any]]
_Packs = dict[str, TaskPack]


def _announced(kind: str, group: str, path: Sequence[str] | None) -> list[_Announced]:
    """Entry points of a group. Where a distribution is on the path twice, the first counts, as in imports."""
    found, seen = [], set()
    for distribution in distributions(path=sys.path if path is None else list(path)):
        name = distribution.name
        # A half-removed distribution has no name; its files say nothing reliable.
        if not name or (normal := name.lower().replace("_", "-").replace(".", "-")) in seen:
            continue
        seen.add(normal)
        for entry_point in distribution.entry_points:
            if entry_point.group == group:
                origin = Origin(kind, entry_point.name, name, distribution.version)
                found.append(_Announced(origin, entry_point))
    return sorted(found, key=lambda one: (one.origin.name, one.origin.distribution))


def _same_name(one: _Announced, other: _Announced) -> bool:
    return (one.origin.kind, one.origin.name) == (other.origin.kind, other.origin.name)


def _refuse_duplicates(announced: list[_Announced]) -> None:
    if len(announced) > 1:
        origins = [one.origin for one in announced]
        raise PluginError(
            f"the {origins[0].kind} {origins[0].name!r} is announced {len(origins)} times",
            where="; ".join(
                f"{o.distribution} {o.version}: {a.entry_point.value}" for o, a in zip(origins, announced, strict=True)
            ),
            fix="uninstall all but one",
        )


def _load(announced: _Announced) -> _Hooks:
    """Import a plugin and return its hook functions by name; it must have at least one, and no misspelt one."""
    origin, target = announced.origin, announced.entry_point.value
    try:
        plugin = announced.entry_point.load()
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"the {origin.kind} {origin.name!r} does not load: {type(error).__name__}: {error}",
            where=f"{origin.distribution} {origin.version}, {target}",
            fix=f"reinstall or update {origin.distribution}, or do not use it",
        ) from error

    manager = pluggy.PluginManager("r1ci")
    manager.add_hookspecs(hookspecs)
    known = [name for name in vars(hookspecs) if name.startswith("r1ci_")]
    try:
        manager.register(plugin, name=origin.name)
        manager.check_pending()
    except (pluggy.PluginValidationError, ValueError, TypeError) as error:
        callers = manager.get_hookcallers(plugin) or []
        wrong = [caller.name for caller in callers if caller.name not in known]
        raise PluginError(
            f"the {origin.kind} {origin.name!r} does not fit the hooks: {' '.join(str(error).split())}",
            where=f"{origin.distribution} {origin.version}, {target}",
            fix=suggest(wrong[0], known) if wrong else "compare its signature with r1ci_plugins/hookspecs.py",
        ) from error

    hooks: _Hooks = {}
    for caller in manager.get_hookcallers(plugin) or []:
        for implementation in caller.get_hookimpls():
            hooks[caller.name] = _with_arguments(implementation)
    unmarked = [name for name in known if name not in hooks and callable(getattr(plugin, name, None))]
    if unmarked or not hooks:
        raise PluginError(
            f"the {origin.kind} {origin.name!r} has {unmarked[0] if unmarked else 'no hook'}"
            + (" without the mark @r1ci_plugins.hookimpl" if unmarked else ": it would do nothing"),
            where=f"{origin.distribution} {origin.version}, {target}",
            fix=f"mark its functions with @r1ci_plugins.hookimpl; the hooks are {', '.join(known)}",
        )
    return hooks


def _with_arguments(implementation: pluggy.HookImpl) -> Callable[..., Any]:
    """A hook function takes any subset of its hook's arguments; give it those it declares."""

    def call(**given: Any) -> Any:
        return implementation.function(*(given[name] for name in implementation.argnames))

    return call


def _call(origin: Origin, hook: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    try:
        return function(**arguments)
    except Exception as error:
        raise PluginError(
            f"{hook} of the {origin.kind} {origin.name!r} raised {type(error).__name__}: {error}",
            where=f"{origin.distribution} {origin.version}",
            fix=f"update {origin.distribution}, or do not use it",
        ) from error


def _wrong_type(origin: Origin, hook: str, value: object, expected: str) -> PluginError:
    shown = repr(value)
    return PluginError(
        f"{hook} of the {origin.kind} {origin.name!r} returned {shown[:80]}, not {expected}",
        where=f"{origin.distribution} {origin.version}",
        fix="see the hook's docstring in r1ci_plugins/hookspecs.py",
    )


def _factories(origin: Origin, hooks: _Hooks, kind: str) -> dict[str, Any]:
    hook = f"r1ci_{kind}"
    if hook not in hooks:
        return {}
    given = _call(origin, hook, hooks[hook], {})
    if not isinstance(given, Mapping) or not all(isinstance(n, str) and n and callable(f) for n, f in given.items()):
        raise _wrong_type(origin, hook, given, "a mapping of names to callables")
    return dict(given)


def _packs(origin: Origin, hooks: _Hooks) -> _Packs:
    if "r1ci_task_packs" not in hooks:
        return {}
    given = _call(origin, "r1ci_task_packs", hooks["r1ci_task_packs"], {})
    if not isinstance(given, Sequence) or not all(isinstance(pack, TaskPack) for pack in given):
        raise _wrong_type(origin, "r1ci_task_packs", given, "a list of TaskPack")
    twice = [name for name, count in Counter(pack.name for pack in given).items() if count > 1]
    if twice:
        raise _wrong_type(origin, "r1ci_task_packs", twice, "packs of different names")
    return {pack.name: pack for pack in given}


def _load_pack(announced: _Announced) -> TaskPack:
    """The one pack of an entry point. It has the entry point's name, so that a recipe's pack is found by name."""
    origin = announced.origin
    packs = _packs(origin, _load(announced))
    if list(packs) != [origin.name]:
        raise PluginError(
            f"the entry point {origin.name!r} registers the task packs {list(packs)}",
            where=f"{origin.distribution} {origin.version}, {announced.entry_point.value}",
            fix=f"let it register one pack, named {origin.name!r}; a second pack gets an entry point of its own",
        )
    return packs[origin.name]


def _registrations(announced: _Announced) -> list[str]:
    """What a plugin registers, for people to read."""
    origin, hooks = announced.origin, _load(announced)
    named = {kind.noun: list(_factories(origin, hooks, key)) for key, kind in KINDS.items()}
    named["task pack"] = list(_packs(origin, hooks))
    lines = [f"{noun} {', '.join(names)}" for noun, names in named.items() if names]
    lines += ["trainer arguments"] if "r1ci_trainer_arguments" in hooks else []
    return lines + (["trajectory observer"] if "r1ci_trajectory_finished" in hooks else [])


def _merge(noun: str, given: Sequence[tuple[Origin, Mapping[str, Any]]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    owner: dict[str, Origin] = {}
    for origin, named in given:
        for name, value in named.items():
            if name in merged:
                raise PluginError(
                    f"two plugins register the {noun} {name!r}",
                    where=f"{owner[name]}; {origin}",
                    fix="use one of the two plugins, or rename one of the two",
                )
            merged[name], owner[name] = value, origin
    return merged


def _implementations(loaded: list[tuple[Origin, _Hooks]], hook: str) -> tuple[tuple[Origin, Callable[..., Any]], ...]:
    return tuple((origin, hooks[hook]) for origin, hooks in loaded if hook in hooks)
