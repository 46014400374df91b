"""Find what is installed: entry points of plugins and task packs, and the hook functions behind each.

Each function that looks at installed distributions takes ``path``, the folders to look in (default: ``sys.path``).
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, distributions
from typing import Any

import pluggy

from r1ci_plugins import hookspecs
from r1ci_plugins.errors import PluginError, nearest, plugin_error, suggest

PLUGINS = "r1ci.plugins"
PACKS = "r1ci.task_packs"

Hooks = dict[str, Callable[..., Any]]
"""A plugin's hook functions by name."""


@dataclass(frozen=True)
class Origin:
    """Where a ``plugin`` or ``task pack`` comes from: its entry point's name, its distribution and the version."""

    kind: str
    name: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} of {self.distribution} {self.version}"


@dataclass(frozen=True)
class Announced:
    """An entry point and where it comes from."""

    origin: Origin
    entry_point: EntryPoint


def find(kind: str, group: str, path: Sequence[str] | None) -> list[Announced]:
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
                found.append(Announced(origin, entry_point))
    return sorted(found, key=lambda one: (one.origin.name, one.origin.distribution))


def misannounced(kind: str, name: str, path: Sequence[str] | None = None) -> PluginError | None:
    """The error for a plugin or pack that is installed, but announced in another group than its kind's; or None."""
    wanted = {"plugin": PLUGINS, "task pack": PACKS}[kind]
    for distribution in distributions(path=sys.path if path is None else list(path)):
        for entry_point in distribution.entry_points:
            group = entry_point.group
            if entry_point.name != name or group == wanted:
                continue
            if not group.startswith("r1ci") and nearest(group, [wanted]) is None:
                continue
            uses = {PLUGINS: f"; or load it with --plugin {name}", PACKS: f"; or name its tasks: {name}/*"}
            return PluginError(
                f"{name!r} is announced in the group {group!r}, and a {kind} in {wanted!r}",
                where=f"{distribution.name} {distribution.version}, {entry_point.value}",
                fix=f'in its pyproject.toml write [project.entry-points."{wanted}"]' + uses.get(group, ""),
            )
    return None


def refuse_duplicates(announced: list[Announced]) -> None:
    """Raise a PluginError if several distributions announce one name; it names them."""
    if len(announced) > 1:
        kind, name = announced[0].origin.kind, announced[0].origin.name
        places = [f"{one.origin.distribution} {one.origin.version}: {one.entry_point.value}" for one in announced]
        what = f"the {kind} {name!r} is announced {len(announced)} times"
        raise PluginError(what, where="; ".join(places), fix="uninstall all but one")


def load_hooks(announced: Announced) -> Hooks:
    """Import a plugin and return its hook functions by name; it must have at least one, and no misspelt one."""
    origin, target = announced.origin, announced.entry_point.value
    try:
        plugin = announced.entry_point.load()
    except (Exception, SystemExit) as error:
        raise plugin_error(
            PluginError,
            f"the {origin.kind} {origin.name!r} does not load:",
            error,
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

    hooks: Hooks = {}
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


def call_hook(origin: Origin, hook: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Call a hook function of a plugin; PluginError if it raises."""
    try:
        return function(**arguments)
    except Exception as error:
        raise plugin_error(
            PluginError,
            f"{hook} of the {origin.kind} {origin.name!r} raised",
            error,
            where=f"{origin.distribution} {origin.version}",
            fix=f"update {origin.distribution}, or do not use it",
        ) from error


def wrong_type(origin: Origin, hook: str, value: object, expected: str) -> PluginError:
    """The error for a hook that returned something else than it should."""
    shown = repr(value)
    return PluginError(
        f"{hook} of the {origin.kind} {origin.name!r} returned {shown[:80]}, not {expected}",
        where=f"{origin.distribution} {origin.version}",
        fix="see the hook's docstring in r1ci_plugins/hookspecs.py",
    )
