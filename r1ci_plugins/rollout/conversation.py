"""From text to segments without an engine: a written conversation, in the tokens that RL would have made of it.

This is for trajectories that exist only as text: those of teachers and programs, and those of another tokenizer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from r1ci_plugins.errors import TrajectoryFileError
from r1ci_plugins.protocol.chat_template import ChatTemplate
from r1ci_plugins.protocol.segments import Segment, SegmentKind


@dataclass(frozen=True)
class Turn:
    """One turn of the model.

    Attributes:
        said: The turn's text, without the end-of-turn token. A program ends its turn.
        told: The message that came back (see ``feedback.render``); None if none did.
    """

    said: str
    told: str | None = None


def render(question: str, turns: Sequence[Turn], template: ChatTemplate) -> tuple[Segment, ...]:
    """The segments that the rollout loop records when the policy ends each of these turns itself."""
    segments = [template.prompt(question)]
    for turn in turns:
        action = template.action(turn.said)
        segments.append(action)
        if turn.told is not None:
            segments += template.feedback(turn.told, action.token_ids[-1])
    return tuple(segments)


def turns_of(segments: Sequence[Segment]) -> list[Turn]:
    """What was said and told, from the text of recorded segments.

    Raises TrajectoryFileError if a program's output comes before any turn, or after another output.
    """
    turns: list[Turn] = []
    for segment in segments:
        if segment.kind is SegmentKind.ACTION:
            turns.append(Turn(segment.text))
        elif segment.kind is SegmentKind.CODE_OUTPUT:
            if not turns or turns[-1].told is not None:
                raise TrajectoryFileError("a program's output follows no turn of the model")
            turns[-1] = Turn(turns[-1].said, segment.text)
    return turns
