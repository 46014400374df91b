"""Numbers about a pool: how its programs ended, how long they waited and ran, how often slots were replaced."""

from collections import Counter, deque
from collections.abc import Sequence

from r1ci_plugins.sandbox.contract import ExecutionResult

REMEMBERED = 10_000  # programs that the quantiles are computed over


class PoolMetrics:
    """What has happened in a pool."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.recycled: Counter[str] = Counter()
        self._recent: deque[tuple[float, float, float]] = deque(maxlen=REMEMBERED)

    def add(self, result: ExecutionResult) -> None:
        """Count one program."""
        self.outcomes[result.status.value] += 1
        self._recent.append((result.queue_s, result.wall_s, result.cpu_s))

    def summary(self) -> dict[str, float]:
        """Numbers by name."""
        named = {f"outcome/{name}": float(count) for name, count in sorted(self.outcomes.items())}
        named |= {f"recycled/{name}": float(count) for name, count in sorted(self.recycled.items())}
        for name, values in zip(("queue_s", "wall_s", "cpu_s"), zip(*self._recent, strict=True), strict=False):
            named |= quantiles(name, values)
        return named


def quantiles(name: str, values: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile (nearest rank) by name."""
    ordered = sorted(values)
    return {f"{name}_p{q}": ordered[min(len(ordered) - 1, len(ordered) * q // 100)] for q in (50, 99)}
