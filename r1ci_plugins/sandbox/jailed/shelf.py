"""Libraries that are loaded in advance, and stay out of a program's sight until it imports them.

A program must not see what happens to be preloaded: modules in ``sys.modules``, submodules on their packages,
variables that a library puts into the environment, warning filters that it sets. All that is put aside before a
program starts, and comes back when it imports the library, at the cost of an import that finds its module at once.
"""

from __future__ import annotations

import builtins
import sys

LOADED_AT_START = frozenset(sys.modules) - {"__future__"}
"""What an interpreter has loaded before its program begins. Hence this module is the first, and imports come late."""

IMPORTED_BY: dict[str, set[str]] = {}
_importing = [""]
_plain_import = builtins.__import__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


def _watched_import(
    name: str,
    globals: Mapping[str, object] | None = None,
    locals: Mapping[str, object] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    """Import as Python does, and note which module imported which."""
    importer = str((globals or {}).get("__name__") or "importlib")
    if importer.startswith("importlib"):  # a compiled module, which has no frame
        importer = _importing[-1]
    base = name
    if level:
        package = str((globals or {}).get("__package__") or importer)
        above = package.rsplit(".", level - 1)[0]
        base = f"{above}.{name}" if name else above
    _importing.append(base)
    try:
        module = _plain_import(name, globals, locals, fromlist or (), level)
    finally:
        _importing.pop()
    wanted = [base, *(f"{base}.{item}" for item in fromlist or ())]
    IMPORTED_BY.setdefault(importer, set()).update(one for one in wanted if one in sys.modules)
    return module


builtins.__import__ = _watched_import


class Shelf:
    """Finds modules that are loaded but put aside, ahead of all other finders.

    What lies deeper than one level below a package is not put aside: nobody gets at it without its package.
    """

    def __init__(self) -> None:
        self.modules: dict[str, ModuleType] = {}
        self._given: set[str] = set()  # those of them that a program has asked for
        self._specs: dict[str, ModuleSpec | None] = {}
        self._needs: dict[str, tuple[str, ...]] = {}
        self._path: frozenset[str] = frozenset()
        self._visible: frozenset[str] = frozenset()
        self._loose: dict[str, list[str]] = {}
        self._effects: dict[str, tuple[dict[str, str], list[Any]]] = {}

    def load(self, name: str) -> bool:
        """Import a library; False if it is not there or broken, which a program will see for itself."""
        import os
        import warnings

        environment, filters, before = dict(os.environ), list(warnings.filters), set(sys.modules)
        try:
            __import__(name)
        except Exception:
            return False
        root = name.partition(".")[0]
        # Not every import passes through __import__, those of compiled modules do not.
        IMPORTED_BY.setdefault(root, set()).update(
            one for one in sys.modules.keys() - before if one.partition(".")[0] != root
        )
        set_now = {key: value for key, value in os.environ.items() if environment.get(key) != value}
        added = len(warnings.filters) - len(filters)
        # What it does to the filters is known if it only puts some before the others.
        new_filters = list(warnings.filters[:added]) if warnings.filters[added:] == filters else []
        if set_now or new_filters:
            self._effects[root] = (set_now, new_filters)
        os.environ.clear()
        os.environ.update(environment)
        warnings.filters[:] = filters  # type: ignore[index]
        warnings._filters_mutated()  # type: ignore[attr-defined]
        return True

    def close(self) -> None:
        """Put aside everything that an interpreter does not have at its start. No import is watched any more."""
        builtins.__import__ = _plain_import
        self._path = frozenset(sys.path)
        aside = [name for name in sys.modules if name not in LOADED_AT_START and name.count(".") < 2]
        self.modules = {name: sys.modules[name] for name in aside if name != "__main__"}
        self._specs = {name: getattr(module, "__spec__", None) for name, module in self.modules.items()}
        for name in [*self.modules, *(name for name in sys.modules if name.startswith("r1ci_"))]:
            del sys.modules[name]
        for name, module in self.modules.items():
            package, _, child = name.rpartition(".")
            # What a package imports, or makes, itself stays on it.
            spec = self._specs[name]
            if package and spec is not None and spec.name == name and name not in self._closure(package):
                parent = self.modules.get(package) or sys.modules.get(package)
                if parent is not None and vars(parent).get(child) is module:
                    delattr(parent, child)
                    self._loose.setdefault(name, []).append(child)
        for name in self.modules:
            if "." not in name:
                self._needs[name] = self._closure(name)
        self._visible = frozenset(sys.modules)
        sys.meta_path.insert(0, self)

    def take_others(self) -> list[ModuleType]:
        """Take away the modules that are neither an interpreter's nor from the shelf; ``__main__`` must be gone."""
        if len(sys.modules) <= len(self._visible) - 1 + len(self._given):
            return []
        names = [name for name in sys.modules if name not in self._visible and name not in self.modules]
        taken = [sys.modules.pop(name) for name in names]
        known = {id(module) for module in (*sys.modules.values(), *self.modules.values())}
        return [module for module in taken if type(module) is type(sys) and id(module) not in known]

    def _closure(self, name: str) -> tuple[str, ...]:
        """The modules aside that come with one: those that it imports, and so on."""
        if name in self._needs:
            return self._needs[name]
        found: dict[str, None] = {}
        waiting = [name]
        while waiting:
            one = waiting.pop()
            if one in found:
                continue
            found[one] = None
            waiting += sorted(IMPORTED_BY.get(one, ()))
            package = one.rpartition(".")[0]
            if package:
                waiting.append(package)
        return tuple(one for one in found if one in self.modules)

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """As the import system calls it. Asking for a spec brings nothing back yet."""
        original = self._specs.get(name)
        if original is None or name in self._given or self._is_shadowed(name, original):
            return None
        spec = object.__new__(type(original))
        vars(spec).update(vars(original), name=name, loader=self)
        return spec

    def _is_shadowed(self, name: str, spec: ModuleSpec) -> bool:
        """Whether a program has a file of that name in a folder that comes before all libraries."""
        if "." in name or not spec.has_location:
            return False
        exists = sys.modules["os"].path.exists
        for entry in sys.path:
            if entry in self._path:
                return False
            if exists(f"{entry}/{name}.py") or exists(f"{entry}/{name}"):
                return True
        return False

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Bring a module back, with those that it imports."""
        have = sys.modules
        for name in self._closure(spec.name):
            if name not in have and name not in self._given:
                have[name] = self.modules[name]
                self._given.add(name)
                if name in self._loose:
                    self._attach(name)
                if name in self._effects:
                    self._apply(name)
        return self.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """It has run already; only its spec is not ours."""
        if module.__spec__ is not None:
            module.__spec__ = self._specs[module.__spec__.name]

    def put_back(self, name: str) -> None:
        """Put a module aside again that we, not a program, made come back."""
        if name in self._given:
            self._given.remove(name)
            del sys.modules[name]

    def _attach(self, name: str) -> None:
        package = name.rpartition(".")[0]
        parent = self.modules.get(package) or sys.modules.get(package)
        for child in self._loose[name]:
            setattr(parent, child, self.modules[name])

    def _apply(self, name: str) -> None:
        import os

        variables, filters = self._effects[name]
        os.environ.update(variables)
        if filters:
            import warnings

            warnings.filters[:0] = filters  # type: ignore[index]
            warnings._filters_mutated()  # type: ignore[attr-defined]
