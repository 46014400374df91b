"""What a turn of the model asks for."""

from dataclasses import dataclass
from enum import StrEnum


class ActionKind(StrEnum):
    """What a model turn asks for."""

    CODE = "code"
    ANSWER = "answer"
    VOID = "void"
    REFUSED = "refused"  # a call that cannot be used; the content says why, for the model


@dataclass(frozen=True)
class Action:
    """A parsed turn.

    Attributes:
        kind: What the turn asks for.
        content: The program, the answer, or why a call is refused; empty when void.
        end: Character offset in the turn's text just after the closing mark of a program or a refused call, else its
            length.
    """

    kind: ActionKind
    content: str
    end: int
