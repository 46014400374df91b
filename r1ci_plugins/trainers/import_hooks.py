"""Adapt upstream modules from outside: replace names as soon as a module has executed, in any process that imports it.

At that moment ``from module import name`` elsewhere already gets the new object. Nothing is imported here ahead of its
time, so registering is cheap and works in processes that never need the module.
"""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from r1ci_plugins.errors import MachineProblem

Around = Callable[[], AbstractContextManager[None]]

upstream: dict[Any, Any] = {}
"""What stood in a module of this process before -> by what stands there now: ``upstream[ours](...)`` calls theirs."""

_seams: dict[str, list[Seam]] = {}
_around: dict[str, list[Around]] = {}


@dataclass(frozen=True)
class Seam:
    """A name of an upstream module, and what stands there instead.

    Attributes:
        module: The upstream module.
        name: Dotted, inside the module. The last part must be defined there; inherited attributes do not count.
        new: What stands there: a function or class of a module of ours, so that it can be pickled by its name.
        adds: What it does that upstream does not.
    """

    module: str
    name: str
    new: Any
    adds: str

    def apply(self, module: ModuleType) -> None:
        """Put ``new`` into the executed module.

        Raises:
            MachineProblem: Upstream has moved or renamed the name.
        """
        *path, last = self.name.split(".")
        owner: Any = module
        for part in path:
            owner = getattr(owner, part, None)
            if hasattr(owner, "__ray_metadata__"):
                # ray.remote has copied an actor's methods into a class of its own: that is the one that runs.
                owner = owner.__ray_metadata__.modified_class
        if owner is None or last not in vars(owner):
            raise MachineProblem(
                f"r1ci-plugins does not fit the installed version of {self.module.partition('.')[0]}: "
                f"{self.module} has no {self.name!r} any more",
                where=self.module,
                fix="install the versions that pyproject.toml and the README name; `r1ci doctor` shows yours",
            )
        upstream[self.new] = vars(owner)[last]
        setattr(owner, last, self.new)


def install(seams: Iterable[Seam], around: Mapping[str, Around] | None = None) -> None:
    """Register seams; a module that is already imported is adapted at once.

    Seams of one name compose in the order they were registered. Registering the same seam again does nothing.

    Args:
        seams: What to replace.
        around: Module name to a context manager that is entered while the module executes, for example to provide a
            package that it imports. Modules that are already imported do not need it.

    Raises:
        MachineProblem: An imported module lacks a name. When a module is imported later, its import raises.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    for name, context in (around or {}).items():
        if context not in _around.setdefault(name, []):
            _around[name].append(context)
    for seam in seams:
        registered = _seams.setdefault(seam.module, [])
        if seam not in registered:
            registered.append(seam)
            if seam.module in sys.modules:
                seam.apply(sys.modules[seam.module])


class _Finder(importlib.abc.MetaPathFinder):
    """Finds nothing itself: asks the other finders, and makes the module's loader apply the seams."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _seams and fullname not in _around:
            return None
        others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                with ExitStack() as stack:
                    for context in _around.get(fullname, ()):
                        stack.enter_context(context())
                    execute(module)
                for seam in _seams.get(fullname, ()):
                    seam.apply(module)

            # On the instance: the loader keeps its type, which importlib.resources, inspect and runpy look at.
            setattr(spec.loader, "exec_module", exec_module)  # noqa: B010
        return spec
