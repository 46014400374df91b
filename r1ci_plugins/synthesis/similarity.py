"""Near-duplicates: trajectories of one task that say nearly the same."""

import re
import zlib
from dataclasses import dataclass, field

from r1ci_plugins.protocol.segments import SegmentKind
from r1ci_plugins.rollout.trajectory import Trajectory

_WORDS = re.compile(r"\w+|[^\w\s]")
_SHINGLE = 4  # consecutive words and signs that are compared as one


def shingles(trajectory: Trajectory) -> frozenset[int]:
    """Hashes of every four consecutive words of the question, the model's turns and what the programs printed."""
    kinds = (SegmentKind.ACTION, SegmentKind.CODE_OUTPUT)
    texts = [trajectory.question.text, *(s.text for s in trajectory.segments if s.kind in kinds)]
    words = [word for text in texts for word in _WORDS.findall(text.casefold())]
    count = max(1, len(words) - _SHINGLE + 1)
    return frozenset(zlib.crc32(" ".join(words[i : i + _SHINGLE]).encode("utf-8", "replace")) for i in range(count))


@dataclass
class NearDuplicates:
    """Remembers what was kept of one task.

    Attributes:
        threshold: Share of common shingles (Jaccard) from which two trajectories count as the same; above 1, none do.
    """

    threshold: float
    _kept: list[frozenset[int]] = field(default_factory=list, init=False)

    def adds(self, trajectory: Trajectory) -> bool:
        """Whether a trajectory is new; if so it is remembered."""
        mine = shingles(trajectory)
        for other in self._kept:
            small, large = sorted((len(mine), len(other)))
            if small < self.threshold * large:  # cannot be that similar
                continue
            common = len(mine & other)
            if common >= self.threshold * (len(mine) + len(other) - common):
                return False
        self._kept.append(mine)
        return True
