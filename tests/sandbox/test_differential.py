"""The contract of the sandbox in one sentence: a program does what it does under plain Python.

Every program of ``corpus`` and of the shared cases runs both ways; what it prints, to both streams, and its exit
status must be the same. The few differences by design are ``checks.differences.BY_DESIGN``.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest

from r1ci_plugins.sandbox.checks.differences import BY_DESIGN
from r1ci_plugins.sandbox.interpreter import find_interpreter

from .conftest import BACKENDS, Bench, opened
from .corpus import FAMILIES
from .differential import SHARED, Ending, plain, sandboxed

ALL = os.environ.get("R1CI_CORPUS") == "all"
"""`make conformance`: everything on every backend and every Python."""

OTHER_PYTHONS = ("3.12", "3.13")
MANY, FEW = 40, 8
"""Programs of each family that are tried with firejail, and on the other backends and Pythons, unless ALL."""


@cache
def plain_ending(source: str, python: str) -> Ending:
    return plain(source.encode("utf-8", "surrogatepass"), python)


def sample(programs: Mapping[str, str], count: int) -> dict[str, str]:
    """That many programs, evenly spread."""
    return dict(programs) if ALL else dict(list(programs.items())[:: max(1, len(programs) // count)][:count])


def differences(bench: Bench, programs: Mapping[str, str], python: str) -> dict[str, str]:
    """Programs that do not end in the sandbox as they do under plain Python, and how."""

    async def run(source: str) -> Ending:
        return sandboxed(await bench.sandbox.run(source, bench.limits(wall_s=60)), bench.sandbox.jail.scratch)

    async def run_all() -> list[Ending]:
        return await asyncio.gather(*map(run, programs.values()))

    with ThreadPoolExecutor(2) as threads:
        expected = threads.map(lambda source: plain_ending(source, python), programs.values())
        found = bench.loop.run(run_all())
        return {
            name: f"plain Python: {ending}\n  the sandbox: {seen}"
            for name, ending, seen in zip(programs, expected, found, strict=True)
            if ending != seen
        }


@pytest.fixture(scope="module")
def python(bench) -> str:
    return str(find_interpreter(bench.sandbox.python).executable)


@pytest.mark.parametrize("family", FAMILIES)
def test_programs_do_what_they_do_under_plain_python(family, bench, python):
    programs = sample(FAMILIES[family], MANY if bench.sandbox.isolation == "firejail" else FEW)
    assert explained(differences(bench, programs, python), bench.sandbox.isolation) == {}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared cases are not here")
def test_shared_programs_do_what_they_do_under_plain_python(bench, python):
    programs = {file.stem: file.read_text(encoding="utf-8") for file in sorted(SHARED.glob("*.py"))}
    assert len(programs) > 90
    assert explained(differences(bench, programs, python), bench.sandbox.isolation) == {}


def explained(found: dict[str, str], isolation: str) -> dict[str, str]:
    """Without the differences by design."""
    known = {name for one in BY_DESIGN if one.applies_to(isolation) for name in one.programs}
    return {name: how for name, how in found.items() if name not in known}


def find_python(version: str) -> str | None:
    """A Python of that version: by name, or where pyenv keeps its own."""
    folder = os.path.expanduser(f"~/.pyenv/versions/{version}")
    found = [f"{folder}{patch}/bin/python" for patch in ("", *(f".{n}" for n in range(30)))]
    named = shutil.which(f"python{version}")
    return next(
        (path for path in found if os.access(path, os.X_OK)), named if named and "shims" not in named else None
    )


@pytest.mark.firejail
@pytest.mark.skipif(shutil.which("firejail") is None, reason="firejail is not installed")
@pytest.mark.parametrize("version", OTHER_PYTHONS)
def test_other_pythons_do_the_same(version):
    python = find_python(version)
    if python is None:
        pytest.skip(f"Python {version} is not installed")
    families = ("erring", "ending", "inspecting", "sources", "streams", "processes")
    programs = {name: source for family in families for name, source in sample(FAMILIES[family], 10).items()}
    make = BACKENDS["firejail"]
    with opened(make(concurrency=2, python=python, preload="light"), make) as bench:
        assert explained(differences(bench, programs, python), "firejail") == {}
