"""Adapt upstream modules from outside: run a patch right after a module has executed, in whatever process imports it.

Patching at that moment means that ``from module import name`` elsewhere already sees the new object. Nothing is
imported here ahead of its time, so registering is cheap and works in processes that never need the module.
"""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from r1ci_plugins.errors import MachineProblem

Patch = Callable[[ModuleType], None]
Around = Callable[[], AbstractContextManager[None]]

_patches: dict[str, list[Patch]] = {}
_around: dict[str, list[Around]] = {}


def install(patches: Mapping[str, Patch], around: Mapping[str, Around] | None = None) -> None:
    """Register patches by module name; a module that is already imported is patched at once.

    Calls compose: several patches of one module run in the order they were registered. Registering the same function
    again does nothing.

    Args:
        patches: Module name to the function that adapts the module after it has executed.
        around: Module name to a context manager that is entered while the module executes, for example to provide a
            package that it imports. Modules that are already imported do not need it.

    Raises:
        MachineProblem: A patch of an imported module failed. When a module is imported later, its import raises.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    for name, context in (around or {}).items():
        if context not in _around.setdefault(name, []):
            _around[name].append(context)
    for name, patch in patches.items():
        if patch in _patches.setdefault(name, []):
            continue
        _patches[name].append(patch)
        if name in sys.modules:
            _apply(patch, sys.modules[name])


def replace(owner: ModuleType | type, name: str, new: Any) -> Any:
    """Replace an attribute that must be there.

    Args:
        owner: The module or class that defines the attribute itself; inherited ones do not count.
        name: The attribute.
        new: Its new value.

    Returns:
        The old value.

    Raises:
        MachineProblem: Upstream has moved or renamed it.
    """
    if name not in vars(owner):
        where = owner.__name__ if isinstance(owner, ModuleType) else f"{owner.__module__}.{owner.__qualname__}"
        raise _moved(f"{where} has no {name!r} any more", where)
    old = vars(owner)[name]
    setattr(owner, name, new)
    return old


def _apply(patch: Patch, module: ModuleType) -> None:
    try:
        patch(module)
    except MachineProblem:
        raise
    except Exception as error:
        raise _moved(f"adapting {module.__name__} failed: {type(error).__name__}: {error}", module.__name__) from error


def _moved(what: str, where: str) -> MachineProblem:
    return MachineProblem(
        f"r1ci-plugins does not fit the installed version of {where.partition('.')[0]}: {what}",
        where=where,
        fix="install the versions that pyproject.toml and the README name; `r1ci doctor` shows what is installed",
    )


class _Finder(importlib.abc.MetaPathFinder):
    """Finds nothing itself: asks the other finders, and makes the module's loader run the patches."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _patches and fullname not in _around:
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
                for patch in _patches.get(fullname, ()):
                    _apply(patch, module)

            # On the instance: the loader keeps its type, which importlib.resources, inspect and runpy look at.
            setattr(spec.loader, "exec_module", exec_module)  # noqa: B010
        return spec
