"""The conformance rules as pytest items, one per task and rule, for the tests of a pack.

In a test module: ``test_conformance = conformance_tests("my_pack")``. Without one: ``pytest --r1ci-pack my_pack``.
The first item that runs starts the examination of all selected tasks; each item waits for its own task.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING

import pytest

from r1ci_plugins.errors import R1CIError

if TYPE_CHECKING:
    from r1ci_plugins.pack_checks.validation import TaskReport

_MARK = "r1ci_conformance"

# The name of this module in 0.1, which tests of packs import. pytest loads this module before any test.
sys.modules["r1ci_plugins.tasks.pytest_plugin"] = sys.modules[__name__]


def conformance_tests(pack: str) -> Callable[..., None]:
    """A test function, parametrised by task and rule; PluginError if the pack is missing or broken.

    ``pack`` is an installed pack's name, or the path of its folder or module.
    """

    @pytest.mark.parametrize(
        ("task", "rule"),
        [pytest.param(t, r, id=f"{t}-{r}", marks=getattr(pytest.mark, _MARK)(pack, t)) for t, r in _cases(pack)],
    )
    def test_conformance(task: str, rule: str, request: pytest.FixtureRequest) -> None:
        _assert_rule(request.session, pack, task, rule)

    return test_conformance


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--r1ci-pack``."""
    help = "also run the conformance rules of this r1ci task pack (a name or a path; may be repeated)"
    parser.getgroup("r1ci").addoption("--r1ci-pack", action="append", default=[], metavar="PACK", help=help)


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark that tells which task an item is about."""
    config.addinivalue_line("markers", f"{_MARK}(pack, task): a conformance rule of an r1ci task pack")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Collect the packs named by ``--r1ci-pack`` beside the test files."""
    report = yield
    if isinstance(collector, pytest.Session) and report.passed:
        packs = collector.config.getoption("--r1ci-pack")
        report.result += [_Pack.from_parent(collector, name=pack, nodeid=pack) for pack in packs]
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop the examinations that still run."""
    for examined in session.stash.get(_EXAMINED, {}).values():
        examined.close()


class _Pack(pytest.Collector):
    def collect(self) -> list[_Rule]:
        try:
            cases = _cases(self.name)
        except R1CIError as error:
            raise self.CollectError(str(error)) from error
        return [_Rule.from_parent(self, name=f"{t}-{r}", task=t, rule=r) for t, r in cases]


class _Rule(pytest.Item):
    def __init__(self, *, task: str, rule: str, **rest: object) -> None:
        super().__init__(**rest)  # type: ignore[arg-type]
        self._case = (self.parent.name if self.parent else "", task, rule)
        self.add_marker(getattr(pytest.mark, _MARK)(*self._case[:2]))

    def runtest(self) -> None:
        _assert_rule(self.session, *self._case)

    def reportinfo(self) -> tuple[str, None, str]:
        return self._case[0], None, self.name


class _Examined:
    """The reports of a pack's tasks, as they become ready."""

    def __init__(self, pack: str, tasks: Sequence[str]) -> None:
        from r1ci_plugins.pack_checks.validation import validate

        self._coming = validate(pack, tasks, jobs=min(len(tasks), os.cpu_count() or 1))
        self._ready: dict[str, TaskReport] = {}

    def report(self, task: str) -> TaskReport:
        while task not in self._ready:
            report = next(self._coming)
            self._ready[report.task] = report
        return self._ready[task]

    def close(self) -> None:
        self._coming.close()


_EXAMINED = pytest.StashKey[dict[str, _Examined]]()


def _cases(pack: str) -> list[tuple[str, str]]:
    from r1ci_plugins.pack_checks.examination import PROMISES
    from r1ci_plugins.pack_checks.rules import RULES
    from r1ci_plugins.plugins.packs import load_pack

    return [(task.name, rule) for task in load_pack(pack).tasks for rule in (*RULES, *PROMISES)]


def _assert_rule(session: pytest.Session, pack: str, task: str, rule: str) -> None:
    examined = session.stash.setdefault(_EXAMINED, {})
    if pack not in examined:
        about = [mark.args for item in session.items for mark in item.iter_markers(_MARK)]
        examined[pack] = _Examined(pack, sorted({name for owner, name in about if owner == pack}))
    report = examined[pack].report(task)
    failures = [str(failure) for failure in report.failures if failure.rule == rule]
    if failures:
        pytest.fail("\n\n".join(failures), pytrace=False)
    if report.missing:
        pytest.skip(report.missing)
    if rule in report.notes:
        pytest.skip(report.notes[rule])
