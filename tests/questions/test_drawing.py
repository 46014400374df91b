"""Drawing in parallel and through the cache gives exactly what ``draw`` gives, and survives a spoilt cache."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from r1ci_plugins.errors import TaskError
from r1ci_plugins.plugins.packs import load_packs
from r1ci_plugins.questions.drawing import draw_all
from r1ci_plugins.questions.splits import Draw, draw

PACK = """
import os, pathlib
from r1ci_plugins import Question, Task, TaskPack, hookimpl

class Doubling(Task):
    name = "doubling"
    levels = 2
    space = 10**6

    def generate(self, rng, difficulty):
        with open(os.environ["GENERATED"], "a") as log:
            log.write(f"{self.name}\\n")
        n = rng.randrange(self.space * 10 ** (difficulty or 0))
        return Question(f"VERSION: what is twice {n}\\u2028?", str(2 * n), {"n": n})

    def check(self, question, answer):
        return answer == question.answer

class Tight(Doubling):
    name = "tight"
    space = 60

class Data(Tight):
    name = "data"
    size = 60

class Exits(Doubling):
    name = "exits"
    def generate(self, rng, difficulty):
        os._exit(3)

class Raises(Doubling):
    name = "raises"
    def generate(self, rng, difficulty):
        raise ZeroDivisionError("no luck")

@hookimpl
def r1ci_task_packs():
    return [TaskPack("PACKNAME", [Doubling(), Tight(), Data(), Exits(), Raises()])]
"""


class Place:
    """An installed pack, a cache of its own, and a count of what was generated."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name, self.log = folder, name, folder / "generated.log"
        self.module = folder / f"{name}_module.py"
        self.install("1")

    def install(self, version: str) -> None:
        self.module.write_text(PACK.replace("PACKNAME", self.name).replace("VERSION", version))
        info = self.folder / f"{self.name}-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {self.name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[r1ci.task_packs]\n{self.name} = {self.name}_module\n")

    @property
    def packs(self):
        return load_packs([self.name])

    def generated(self) -> int:
        """Questions generated since the last call."""
        count = len(self.log.read_text().splitlines()) if self.log.exists() else 0
        self.log.unlink(missing_ok=True)
        return count

    def order(self, task: str, count: int, split: str = "rl", difficulty: int | None = None) -> Draw:
        return Draw(self.name, task, split, 5, count, difficulty)

    def expected(self, one: Draw):
        drawn = list(draw(one.pack, self.packs[one.pack][one.task], one.split, one.seed, one.count, one.difficulty))
        self.generated()
        return drawn

    def files(self) -> list[Path]:
        return sorted((self.folder / "cache").rglob("*.gz"))


@pytest.fixture
def place(tmp_path, monkeypatch):
    name = f"drawn_{random.SystemRandom().getrandbits(40):x}"  # a module name that no other test has imported
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("R1CI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GENERATED", str(tmp_path / "generated.log"))
    return Place(tmp_path, name)


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_questions_are_those_of_draw_in_the_same_order(place, jobs):
    draws = [
        place.order("doubling", 45),
        place.order("tight", 20),
        place.order("doubling", 7, "test", 1),
        place.order("doubling", 0),
    ]
    seen: list[int] = []
    drawn = draw_all(draws, place.packs, jobs=jobs, progress=seen.append)
    assert drawn == [place.expected(one) for one in draws]
    assert seen == sorted(seen) and seen[-1] == 72


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_second_draw_generates_nothing_and_a_longer_one_only_the_rest(place, jobs):
    short, long = place.order("doubling", 30), place.order("doubling", 90)
    first = draw_all([short], place.packs, jobs=jobs)
    needed = place.generated()
    assert needed >= 30
    assert draw_all([short], place.packs, jobs=jobs) == first
    assert place.generated() == 0
    (longer,) = draw_all([long], place.packs, jobs=jobs)
    rest = place.generated()
    assert longer[:30] == first[0] and longer == place.expected(long)
    assert 0 < rest <= 4 * 90 - needed


@pytest.mark.parametrize("spoil", [b"", b"nonsense", None], ids=["empty", "nonsense", "cut short"])
def test_a_spoilt_file_is_made_again(place, spoil):
    one = place.order("doubling", 30)
    drawn = draw_all([one], place.packs, jobs=1)
    place.generated()
    for file in place.files():
        file.write_bytes(file.read_bytes()[:-9] if spoil is None else spoil)
    assert draw_all([one], place.packs, jobs=1) == drawn
    assert place.generated() > 0
    assert draw_all([one], place.packs, jobs=1) == drawn
    assert place.generated() == 0


def test_a_changed_pack_does_not_meet_its_old_questions(place, monkeypatch):
    import sys

    one = place.order("doubling", 5)
    old = draw_all([one], place.packs, jobs=1)
    place.install("the second version")
    monkeypatch.delitem(sys.modules, f"{place.name}_module")
    (new,) = draw_all([one], place.packs, jobs=1)
    assert {q.text[:3] for q in old[0]} == {"1: "} and {q.text[:3] for q in new} == {"the"}


def test_questions_from_the_users_data_are_not_cached(place, monkeypatch):
    draw_all([place.order("data", 3)], place.packs, jobs=1)
    assert not place.files()
    monkeypatch.setenv(f"R1CI_{place.name.upper()}_DATA", "/somewhere")
    draw_all([place.order("doubling", 3)], place.packs, jobs=1)
    assert not place.files()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_task_of_fixed_size_gives_what_it_has_and_another_is_refused(place, jobs):
    (drawn,) = draw_all([place.order("data", 100)], place.packs, jobs=jobs)
    assert drawn == place.expected(place.order("data", 100))
    assert 15 < len(drawn) < 45
    with pytest.raises(TaskError, match="different questions found, 100 asked for"):
        draw_all([place.order("tight", 100)], place.packs, jobs=jobs)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_task_that_raises_is_named(place, jobs):
    with pytest.raises(TaskError, match="ZeroDivisionError: no luck"):
        draw_all([place.order("doubling", 30), place.order("raises", 1)], place.packs, jobs=jobs)


def test_a_process_that_dies_is_an_error_and_what_was_finished_is_kept(place):
    draw_all([place.order("doubling", 30)], place.packs, jobs=1)
    kept = place.files()
    with pytest.raises(TaskError, match="process that generates questions died"):
        draw_all([place.order("doubling", 60), place.order("exits", 1)], place.packs, jobs=2)
    assert set(kept) <= set(place.files())


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(place, monkeypatch):
    (place.folder / "file").write_text("")
    monkeypatch.setenv("R1CI_CACHE", str(place.folder / "file"))
    one = place.order("doubling", 5)
    assert draw_all([one], place.packs, jobs=1) == [place.expected(one)]


def test_unknown_levels_and_splits_are_refused_before_anything_is_generated(place):
    for wrong in (place.order("doubling", 1, difficulty=2), place.order("doubling", 1, "dev")):
        with pytest.raises(TaskError, match="does not exist|no split"):
            draw_all([place.order("doubling", 5), wrong], place.packs, jobs=1)
    assert place.generated() == 0
