"""Drawing questions of many tasks at once: in parallel processes and through the cache on disk.

The questions are exactly those of ``splits.draw``: candidates are independent of each other, so blocks of them are
made in any process and selected in their order.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait

from r1ci_plugins.questions.cache import QuestionCache, cache_folder
from r1ci_plugins.questions.splits import SHARES, Draw, SplitFilter, own_candidate
from r1ci_plugins.tasks.task import Question, Task, TaskPack
from r1ci_plugins.workers.pack_processes import default_jobs, loaded_pack, pack_processes

BLOCK = 20
"""Candidates that are made and cached together: few, so that the slowest task's block takes seconds."""

Candidates = list[Question | None]


def draw_all(
    draws: Sequence[Draw],
    packs: Mapping[str, TaskPack],
    plugins: Sequence[str] = (),
    *,
    jobs: int | None = None,
    progress: Callable[[int], None] = lambda drawn: None,
) -> list[list[Question]]:
    """The questions of every draw, in order.

    Args:
        draws: What to draw.
        packs: The loaded packs by name.
        plugins: Names of the loaded plugins; the processes load packs from them too.
        jobs: Processes; None means ``default_jobs``, 1 means this process alone.
        progress: Called with the number of questions drawn so far.

    Raises:
        TaskError: As ``splits.draw``, or a process died.
    """
    jobs = default_jobs() if jobs is None else jobs
    caches = {name: QuestionCache(pack, cache_folder()) for name, pack in packs.items()}
    streams = [_Stream(draw, packs[draw.pack][draw.task], caches[draw.pack]) for draw in draws]
    running: dict[Future[Candidates], tuple[_Stream, int]] = {}
    with pack_processes(jobs, sorted(packs), plugins) as pool:
        while unfinished := [stream for stream in streams if not stream.complete]:
            for stream in unfinished:
                while len(running) < 2 * jobs and (block := stream.next_block()) is not None:
                    if jobs == 1:
                        stream.add(block, _make(stream.task, stream.draw, block))
                        progress(sum(len(stream.drawn) for stream in streams))
                    else:
                        running[pool.submit(_make_in_worker, stream.draw, block)] = (stream, block)
            done, _ = wait(running, return_when=FIRST_COMPLETED) if running else (set(), None)
            for future in done:
                stream, block = running.pop(future)
                stream.add(block, future.result())
            progress(sum(len(stream.drawn) for stream in streams))
    return [stream.drawn for stream in streams]


class _Stream:
    """One draw in progress: blocks come in any order and are selected from in theirs."""

    def __init__(self, draw: Draw, task: Task, cache: QuestionCache) -> None:
        self.draw, self.task, self.drawn = draw, task, list[Question]()
        self._cache = cache
        self._filter = SplitFilter(draw.pack, task, draw.split, draw.count, draw.difficulty)
        self._waiting: dict[int, Candidates] = {}
        self._asked = self._used = 0

    @property
    def complete(self) -> bool:
        return self._filter.complete

    def next_block(self) -> int | None:
        """The next block that has to be made; None if those asked for may be enough. Cached ones are used here."""
        while not self.complete:
            missing = self.draw.count - len(self.drawn)
            likely = -(-missing * 100 // (SHARES[self.draw.split] * BLOCK))
            if self._asked >= self._used + likely:
                return None
            block, self._asked = self._asked, self._asked + 1
            cached = self._cache.read(self.task, self._place(block))
            if cached is None or len(cached) != BLOCK:
                return block
            self._use(block, cached)
        return None

    def add(self, block: int, candidates: Candidates) -> None:
        """Keep a block that was made, on disk too, and select from all blocks that are next in order."""
        self._cache.write(self.task, self._place(block), candidates)
        self._use(block, candidates)

    def _use(self, block: int, candidates: Candidates) -> None:
        self._waiting[block] = candidates
        while not self.complete and self._used in self._waiting:
            for question in self._waiting.pop(self._used):
                if not self.complete and self._filter.takes(question) and question is not None:
                    self.drawn.append(question)
            self._used += 1

    def _place(self, block: int) -> tuple[object, ...]:
        return (self.draw.split, self.draw.seed, self.draw.difficulty, BLOCK, block)


def _make(task: Task, draw: Draw, block: int) -> Candidates:
    return [
        own_candidate(draw.pack, task, draw.split, index, draw.seed, draw.difficulty)
        for index in range(block * BLOCK, (block + 1) * BLOCK)
    ]


def _make_in_worker(draw: Draw, block: int) -> Candidates:
    return _make(loaded_pack(draw.pack)[draw.task], draw, block)
