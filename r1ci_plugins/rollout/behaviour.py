"""How a model went about a question, read from a trajectory: what it did with programs, and what it only made up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from r1ci_plugins.protocol.feedback import PREFIX
from r1ci_plugins.protocol.segments import SegmentKind
from r1ci_plugins.rollout.trajectory import Trajectory

# A model that checks says so, or its program asserts something. Checking "all" or "every" case is a search.
_CHECKING = re.compile(
    r"\b(?:(?:double[- ]|sanity[- ]|re-?|cross[- ])check(?:s|ed|ing)?|verif(?:y|ies|ied|ying|ication))\b"
    r"|\b(?:let me|let us|let's|I(?:'ll| will| should| can)?|we(?:'ll| will| should| can)?|to)\s+(?:now\s+)?"
    r"(?:check|confirm|validate|test)\b(?!\s+(?:all|every|each|whether there|for)\b)",
    re.IGNORECASE,
)
_ASSERTING = re.compile(
    r"^\s*assert\b|\b(?:is_valid|verify|check_(?:solution|answer|result)|validate)\w*\s*\(", re.MULTILINE
)


@dataclass(frozen=True)
class Behaviour:
    """What one trajectory shows."""

    trajectory: Trajectory

    @cached_property
    def turns(self) -> list[str]:
        """The text of the model's own turns."""
        return [segment.text for segment in self.trajectory.segments if segment.kind is SegmentKind.ACTION]

    @property
    def invented_outputs(self) -> int:
        """Turns in which the model itself writes the line that announces a program's output."""
        return sum(PREFIX in turn for turn in self.turns)

    @property
    def repeated_programs(self) -> int:
        """Programs that say the same as an earlier one of the trajectory, white space aside."""
        programs = [call.code.strip() for call in self.trajectory.tool_calls]
        return len(programs) - len({"\n".join(map(str.rstrip, program.splitlines())) for program in programs})

    @property
    def self_check(self) -> bool:
        """Whether the model checks a result that it already has, in words or in a program.

        It has one after its first program's output; before that, only a program that asserts something counts.
        """
        later = self.turns[1:] if self.trajectory.tool_calls else []
        if any(_CHECKING.search(turn) for turn in later):
            return True
        return any(_ASSERTING.search(call.code) for call in self.trajectory.tool_calls)
