"""Load plugins and check what they register. A broken one stops the start and is named; none is skipped silently.

The built-in behaviour is the plugin ``r1ci``, announced by an entry point like anybody else's. There is no global
plugin manager: what is loaded is a ``Plugins`` value.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from r1ci_plugins.errors import PluginError, R1CIError, RecipeError, suggest
from r1ci_plugins.plugins import discovery
from r1ci_plugins.plugins.discovery import Announced, Hooks, Origin
from r1ci_plugins.plugins.packs import load_announced_pack, packs_of
from r1ci_plugins.plugins.products import check_factory, check_product
from r1ci_plugins.tasks.task import TaskPack

if TYPE_CHECKING:
    from r1ci_plugins.protocol.answer_format import AnswerFormat
    from r1ci_plugins.recipe.schema import Recipe
    from r1ci_plugins.rewards.terms import RewardTerm
    from r1ci_plugins.rewards.verifier import Verifier
    from r1ci_plugins.rollout.trajectory import Trajectory
    from r1ci_plugins.sandbox.contract import Sandbox
    from r1ci_plugins.training.loss_mask import LossMask

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
class Installed:
    """One announced plugin or pack, loaded on trial: what it registers, or the error why it cannot be used."""

    origin: Origin
    registers: tuple[str, ...]
    error: str


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
    _owners: Mapping[tuple[str, str], Origin]
    _trainer_arguments: tuple[tuple[Origin, Callable[..., Any]], ...]
    _observers: tuple[tuple[Origin, Callable[..., Any]], ...]

    def make(self, kind: str, name: str, options: Mapping[str, Any]) -> Any:
        """Build what a recipe names, of one of ``KINDS``. Options are checked against the factory's annotations.

        Raises:
            RecipeError: If the name or an option is unknown, missing, or of the wrong type, or the factory refuses.
            PluginError: If what is registered is no factory.
        """
        from r1ci_plugins.plugins.options import checked_options  # pydantic: only where a recipe is used
        from r1ci_plugins.recipe.secrets import resolved

        noun, key, options_key = KINDS[kind]
        factories: Mapping[str, Callable[..., Any]] = getattr(self, kind)
        if name not in factories:
            raise RecipeError(
                f"there is no {noun} {name!r}",
                where=f"recipe key {key}",
                fix=f"{suggest(name, factories)}; or name the plugin that offers it with --plugin",
            )
        where = f"recipe key {options_key.format(name=name)}"
        check_factory(kind, name, factories[name], options, self._owners.get((kind, name)))
        arguments = checked_options(factories[name], options, what=f"{noun} {name!r}", where=where)
        try:
            return factories[name](**resolved(arguments))
        except R1CIError:
            raise
        except Exception as error:
            raise RecipeError(
                f"the {noun} {name!r} refuses its options: {type(error).__name__}: {error}",
                where=where,
                fix=f"given were the options {', '.join(options) or '(none)'}",
            ) from error

    def build(self, kind: str, name: str, options: Mapping[str, Any]) -> Any:
        """``make``, and check that what is made has all that a run asks of it.

        Raises:
            PluginError: It has not. Otherwise as ``make``.
        """
        made = self.make(kind, name, options)
        check_product(kind, name, made, self._owners.get((kind, name)))
        return made

    def trainer_arguments(self, recipe: Recipe, command: str, decided: Collection[str] = ()) -> dict[str, object]:
        """The OpenRLHF flags that plugins set for ``train_ppo`` or ``train_sft``, by dotted name.

        Args:
            recipe: What the plugins look at.
            command: ``train_ppo`` or ``train_sft``.
            decided: Flags that the recipe or the user sets, who win; plugins may differ about these.

        Raises:
            PluginError: If a plugin fails, returns no mapping, or two plugins set one flag to different values.
        """
        flags: dict[str, object] = {}
        owner: dict[str, Origin] = {}
        name = "r1ci_trainer_arguments"
        for origin, hook in self._trainer_arguments:
            given = discovery.call_hook(origin, name, hook, {"recipe": recipe, "command": command})
            if not isinstance(given, Mapping) or not all(isinstance(flag, str) for flag in given):
                raise discovery.wrong_type(origin, name, given, "a mapping of flag names to values")
            for flag, value in given.items():
                if flag in flags and flags[flag] != value and flag not in decided:
                    raise PluginError(
                        f"two plugins set the trainer flag {flag!r}: {flags[flag]!r} and {value!r}",
                        where=f"{owner[flag]}; {origin}",
                        fix=f"decide it in the recipe, which wins: trainer: {{{flag}: ...}}; or use one of the two",
                    )
                flags[flag], owner[flag] = value, origin
        return flags

    def notify(self, trajectory: Trajectory) -> None:
        """Show a finished trajectory to every observer. An observer's exception is logged, never raised."""
        for origin, observe in self._observers:
            try:
                observe(trajectory=trajectory)
            except Exception:
                _log.exception("r1ci_trajectory_finished of %s failed; the trajectory is kept", origin)


def load_plugins(names: Sequence[str], *, path: Sequence[str] | None = None) -> Plugins:
    """Load the plugins, named as with ``--plugin``, and check everything they register.

    Raises:
        PluginError: If a name is unknown, given twice or announced twice, a plugin does not load, has a misspelt
            hook, a hook that raises or returns the wrong type, or two plugins register the same name.
    """
    known = discovery.find("plugin", discovery.PLUGINS, path)
    loaded: list[tuple[Origin, Hooks]] = []
    for name in names:
        if list(names).count(name) > 1:
            raise PluginError(f"the plugin {name!r} is named twice", where="--plugin", fix="name it once")
        chosen = [one for one in known if one.origin.name == name]
        if not chosen:
            raise discovery.misannounced("plugin", name, path) or PluginError(
                f"there is no plugin {name!r}",
                where="--plugin",
                fix=f"{suggest(name, {one.origin.name for one in known})}; `r1ci plugins` lists what is installed",
            )
        discovery.refuse_duplicates(chosen)
        loaded.append((chosen[0].origin, discovery.load_hooks(chosen[0])))

    factories: dict[str, dict[str, Any]] = {}
    owners: dict[tuple[str, str], Origin] = {}
    for kind in KINDS:
        given = [(origin, _factories(origin, hooks, kind)) for origin, hooks in loaded]
        factories[kind] = _merge(KINDS[kind].noun, given)
        owners |= {(kind, name): origin for origin, named in given for name in named}
    return Plugins(
        **factories,
        _owners=owners,
        packs=_merge("task pack", [(origin, packs_of(origin, hooks)) for origin, hooks in loaded]),
        versions=tuple(origin for origin, _ in loaded),
        _trainer_arguments=_implementations(loaded, "r1ci_trainer_arguments"),
        _observers=_implementations(loaded, "r1ci_trajectory_finished"),
    )


def installed(*, path: Sequence[str] | None = None) -> list[Installed]:
    """Every announced plugin and pack, each loaded on trial; a broken one carries its error. Never raises."""
    found = discovery.find("plugin", discovery.PLUGINS, path) + discovery.find("task pack", discovery.PACKS, path)
    listing = []
    for one in found:
        try:
            alike = [other for other in found if other.origin.kind == one.origin.kind]
            discovery.refuse_duplicates([other for other in alike if other.origin.name == one.origin.name])
            if one.origin.kind == "task pack":
                registers = [f"{len(load_announced_pack(one).tasks)} tasks"]
            else:
                registers = _registrations(one)
            listing.append(Installed(one.origin, tuple(registers), ""))
        except Exception as error:
            listing.append(Installed(one.origin, (), str(error)))
    return listing


def _factories(origin: Origin, hooks: Hooks, kind: str) -> dict[str, Any]:
    hook = f"r1ci_{kind}"
    if hook not in hooks:
        return {}
    given = discovery.call_hook(origin, hook, hooks[hook], {})
    if not isinstance(given, Mapping) or not all(isinstance(n, str) and n and callable(f) for n, f in given.items()):
        raise discovery.wrong_type(origin, hook, given, "a mapping of names to callables")
    return dict(given)


def _registrations(announced: Announced) -> list[str]:
    """What a plugin registers, for people to read."""
    origin, hooks = announced.origin, discovery.load_hooks(announced)
    named = {kind.noun: list(_factories(origin, hooks, key)) for key, kind in KINDS.items()}
    named["task pack"] = list(packs_of(origin, hooks))
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


def _implementations(loaded: list[tuple[Origin, Hooks]], hook: str) -> tuple[tuple[Origin, Callable[..., Any]], ...]:
    return tuple((origin, hooks[hook]) for origin, hooks in loaded if hook in hooks)
