"""Which trajectories are fit to learn from. Each reason to reject one has a name, by which it is counted."""

import ast
import re
from collections.abc import Sequence

from r1ci_plugins.protocol.answer_format import ActionKind, AnswerFormat
from r1ci_plugins.protocol.feedback import PREFIX
from r1ci_plugins.protocol.segments import SegmentKind
from r1ci_plugins.rollout.trajectory import StopReason, Trajectory

INCORRECT = "incorrect"

_INVENTED = re.compile(
    rf"{re.escape(PREFIX)}|^ {{0,3}}```+[ \t]*(?:output|stdout|results?)\b", re.MULTILINE | re.IGNORECASE
)
_TELLING_CHARS = 4
"""A shorter answer may occur in a text by chance."""

_COMPUTING = (ast.BinOp, ast.BoolOp, ast.Compare, ast.For, ast.While, ast.comprehension, ast.Subscript, ast.AugAssign)


def objection(trajectory: Trajectory, answer_format: AnswerFormat) -> str | None:
    """Why a judged trajectory must not be learned from, or None.

    Returns:
        ``fault`` (its outcome is unknown), a stop reason (it never answered), ``invented_output``, ``leaked_answer``,
        ``hard_coded_answer``, or ``incorrect``, which comes last because a recipe may waive it.
    """
    if trajectory.excluded:
        return "fault"
    if trajectory.stop_reason is not StopReason.ANSWERED:
        return trajectory.stop_reason.value
    actions = [segment.text for segment in trajectory.segments if segment.kind is SegmentKind.ACTION]
    if any(_INVENTED.search(text) for text in actions):
        return "invented_output"
    if leaks_answer(trajectory, actions, answer_format):
        return "leaked_answer"
    if any(is_hard_coded(call.code, trajectory) for call in trajectory.tool_calls):
        return "hard_coded_answer"
    return None if trajectory.correct else INCORRECT


def leaks_answer(trajectory: Trajectory, actions: Sequence[str], answer_format: AnswerFormat) -> bool:
    """Whether the answer comes before the first program, which is then only for show.

    True if the text before the program gives a final answer, or states the answer although the question does not.
    """
    if not trajectory.tool_calls:
        return False
    before = actions[0].partition(trajectory.tool_calls[0].code)[0]
    if answer_format.parse(before).kind is ActionKind.ANSWER:
        return True
    answer = (trajectory.answer or "").strip()
    return len(answer) >= _TELLING_CHARS and _says(before, answer) and not _says(trajectory.question.text, answer)


def is_hard_coded(code: str, trajectory: Trajectory) -> bool:
    """Whether a program prints without computing, or has the answer as a literal although the question does not."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False  # such a program printed no answer either
    nodes = list(ast.walk(tree))
    prints = any(isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "print" for n in nodes)
    if prints and not any(_computes(node) for node in nodes):
        return True
    answer = (trajectory.answer or "").strip()
    if len(answer) < _TELLING_CHARS or _says(trajectory.question.text, answer):
        return False
    constants = (node.value for node in nodes if isinstance(node, ast.Constant) and not isinstance(node.value, bool))
    return answer in (str(value).strip() for value in constants)


def _computes(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return not (isinstance(node.func, ast.Name) and node.func.id in ("print", "str", "repr"))
    if isinstance(node, ast.UnaryOp):
        return not (isinstance(node.op, ast.USub | ast.UAdd) and isinstance(node.operand, ast.Constant))
    return isinstance(node, _COMPUTING)


def _says(text: str, answer: str) -> bool:
    """Whether a text states the answer, not only as part of longer words."""
    return re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text) is not None
