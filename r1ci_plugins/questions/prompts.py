"""Prompts as OpenRLHF reads them: JSON lines with ``input``, ``label`` and ``datasource``."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from r1ci_plugins.errors import TaskError
from r1ci_plugins.rollout.whole_file import write_whole
from r1ci_plugins.tasks.task import Question


def row(question: Question, prompt_text: str) -> dict[str, str]:
    """One row: the rendered prompt, the whole question as the label, the task as the data source."""
    return {"input": prompt_text, "label": question.to_json(), "datasource": question.task}


def write_prompts(path: Path, questions: Iterable[Question], render: Callable[[str], str]) -> int:
    """Write one row per question, atomically.

    Args:
        path: The file, ``*.jsonl``.
        questions: Drawn questions.
        render: Question text to prompt text, as ``ChatTemplate.prompt_text``.

    Returns:
        Number of rows.

    Raises:
        OSError: The file cannot be written.
        TaskError: A question holds a lone surrogate, which no file can carry.
    """
    lines: list[bytes] = []
    for question in questions:
        line = json.dumps(row(question, render(question.text)), ensure_ascii=False) + "\n"
        try:
            lines.append(line.encode())
        except UnicodeEncodeError as error:
            raise TaskError(
                f"the question is not valid Unicode: {error}",
                where=question.key,
                fix="report it to the pack's author, or leave the task out of the recipe",
            ) from error
    write_whole(path, b"".join(lines))
    return len(lines)
