"""A started sandbox to run programs in, for whatever backend a test names."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

from r1ci_plugins.sandbox.checks import bench as checks_bench
from r1ci_plugins.sandbox.checks.attacks.attack import Attack
from r1ci_plugins.sandbox.checks.bench import CheckResult
from r1ci_plugins.sandbox.checks.promises.promise import Promise
from r1ci_plugins.sandbox.contract import ExecutionResult, Limits, Sandbox

from .holes import BACKENDS

needs_firejail = pytest.mark.skipif(shutil.which("firejail") is None, reason="firejail is not installed")


def backend_parameters() -> list:
    def absent(name: str) -> bool:
        return shutil.which({"rlimits": "/usr/bin/python3"}.get(name, name)) is None

    return [
        pytest.param(name, marks=[pytest.mark.skipif(absent(name), reason=f"{name} is not installed")])
        for name in BACKENDS
    ]


class Bench:
    """A sandbox and the event loop it lives in, for synchronous tests."""

    def __init__(self, sandbox: Sandbox, make: Callable[..., Sandbox]) -> None:
        self.sandbox, self.make = sandbox, make
        self.loop = asyncio.Runner()

    def examine(self, item: Promise | Attack) -> CheckResult:
        return self.loop.run(item.examine(checks_bench.Bench(self.make, self.sandbox)))

    @staticmethod
    def limits(**limits) -> Limits:
        return Limits(**{"wall_s": 20.0, **limits})

    def run(self, code: str, **limits) -> ExecutionResult:
        return self.loop.run(self.sandbox.run(code, self.limits(**limits)))

    def run_all(self, *codes: str, **limits) -> list[ExecutionResult]:
        async def gather() -> list[ExecutionResult]:
            return await asyncio.gather(*(self.sandbox.run(code, self.limits(**limits)) for code in codes))

        return self.loop.run(gather())


@contextmanager
def opened(sandbox: Sandbox, make: Callable[..., Sandbox] | None = None) -> Iterator[Bench]:
    bench = Bench(sandbox, make or type(sandbox))
    try:
        bench.loop.run(sandbox.start())
        yield bench
    finally:
        bench.loop.run(sandbox.close())
        bench.loop.close()


@pytest.fixture(scope="module", params=backend_parameters())
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with opened(BACKENDS[request.param](concurrency=2), BACKENDS[request.param]) as bench:
        yield bench


@pytest.fixture
def new_children():
    """Living processes that this test's sandboxes have started: other tests may have left workers of their own."""
    before = {process.pid for process in psutil.Process().children(recursive=True)}

    def look(recursive: bool = True) -> list[psutil.Process]:
        children = psutil.Process().children(recursive)
        return [p for p in children if p.pid not in before and p.status() != psutil.STATUS_ZOMBIE]

    return look
