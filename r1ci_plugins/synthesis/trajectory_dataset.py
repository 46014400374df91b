"""What synthesis leaves behind: trajectories, a Hugging Face data set of them, and a card with statistics.

::

    <folder>/
      README.md                 the card; its front matter makes ``load_dataset(folder)`` and an upload work
      trajectories.jsonl.gz     one trajectory per line, tokens included: what train_sft reads
      data/train-00000-of-00001.parquet     the same as chat messages
      dataset_dict.json, train/             the same for ``datasets.load_from_disk(folder)``
      statistics.json           the card's numbers, per task
      build.json                what it was made from
      parts/                    each finished task's trajectories and statistics

The card is written last: a folder without one is not finished, and the same command goes on.
"""

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from r1ci_plugins.protocol.segments import SegmentKind
from r1ci_plugins.questions.card import Provenance, data_card
from r1ci_plugins.questions.dataset import is_built
from r1ci_plugins.rollout.trajectory import Trajectory
from r1ci_plugins.rollout.trajectory_file import read_trajectories
from r1ci_plugins.rollout.whole_file import write_whole
from r1ci_plugins.synthesis.part import Part, Statistics, writing

PARTS = "parts"
TRAJECTORIES = "trajectories.jsonl.gz"


def open_folder(folder: Path, provenance: Provenance) -> None:
    """Create a folder, or take up the one of an earlier run.

    Raises MachineProblem if it holds something else, or cannot be written.
    """
    if not is_built(folder, provenance):
        with writing(folder):
            write_whole(folder / "build.json", provenance.to_json().encode())


def write(
    folder: Path, statistics: Sequence[Statistics], *, instructions: str, provenance: Provenance, notes: Sequence[str]
) -> None:
    """Put the parts of all tasks together in an opened folder. The head prompt becomes the system message.

    Raises MachineProblem if a file cannot be written, because the disk is full or for another reason.
    """
    with writing(folder):
        (folder / "README.md").unlink(missing_ok=True)
        members = [Part(folder / PARTS, one.task).trajectories.read_bytes() for one in statistics]
        write_whole(folder / TRAJECTORIES, b"".join(members))  # gzip members in a row are a gzip file
        _write_dataset(folder, instructions)
        numbers = {"notes": list(notes), "tasks": [one.to_dict() for one in statistics]}
        write_whole(folder / "statistics.json", json.dumps(numbers, indent=2).encode())
        write_whole(folder / "README.md", card(folder.resolve().name, statistics, provenance, notes).encode())


def _write_dataset(folder: Path, instructions: str) -> None:
    from datasets import Dataset, DatasetDict, disable_progress_bars

    disable_progress_bars()
    rows = list(_rows(folder / TRAJECTORIES, instructions))
    for old in ("data", "train"):
        shutil.rmtree(folder / old, ignore_errors=True)
    (folder / "data").mkdir()
    made = Dataset.from_list(rows)
    if rows:
        made.to_parquet(folder / "data" / "train-00000-of-00001.parquet")
        DatasetDict({"train": made}).save_to_disk(folder)


def _rows(file: Path, instructions: str) -> Iterator[dict[str, Any]]:
    for trajectory in read_trajectories(file):
        yield {
            "messages": messages(trajectory, instructions),
            "task": trajectory.question.task,
            "question": trajectory.question.key,
            "answer": trajectory.answer or "",
            "score": trajectory.score,
            **{name: trajectory.origin[name] for name in ("teacher", "variant", "style", "attempt")},
            "programs": len(trajectory.tool_calls),
            "failed_programs": sum(bool(call.error) for call in trajectory.tool_calls),
            "tokens": len(trajectory.token_ids),
        }


def messages(trajectory: Trajectory, instructions: str) -> list[dict[str, str]]:
    """A trajectory as a chat: system, user, then assistant and user in turn."""
    roles = {SegmentKind.ACTION: "assistant", SegmentKind.CODE_OUTPUT: "user"}
    return [
        {"role": "system", "content": instructions},
        {"role": "user", "content": trajectory.question.text},
        *({"role": roles[s.kind], "content": s.text} for s in trajectory.segments if s.kind in roles),
    ]


def card(name: str, statistics: Sequence[Statistics], provenance: Provenance, notes: Sequence[str]) -> str:
    """The README: what was kept, what was not, and what it took."""
    total = sum(statistics, Statistics("all tasks"))
    usage = total.usage
    took = f"{total.seconds:.0f} s, summed over the tasks"
    if usage.requests or usage.cached:
        took = (
            f"{usage.requests} requests, {usage.prompt_tokens} tokens read, {usage.completion_tokens} written, cost "
            f"{usage.cost:.4f}; {usage.cached} replies were paid for in an earlier run; {took}"
        )
    return data_card(
        name,
        front={"tags": ["r1ci", "reasoning", "code-interpreter", "sft", "synthetic"]},
        splits=["train"],
        summary=[
            "Trajectories for supervised fine-tuning, made by r1ci-plugins. Every program in them ran in a sandbox,",
            "the text shows what it really printed, and every final answer was judged by its task's checker.",
            "The questions are from the split `sft`, which shares no question with `rl` and `test`.",
            "",
            f"`{TRAJECTORIES}` holds the trajectories with token ids and origin (what `train_sft` reads).",
            "The data set holds the same as `messages`, with task, question, answer, score, teacher, prompt variant,",
            "style and counts.",
            "",
            f"{total.kept} trajectories of {sum(one.kept > 0 for one in statistics)} tasks, {total.tokens} tokens; "
            f"{_percent(total.multi_turn, total.kept)} ran several programs, {_percent(total.code, total.kept)} ran "
            f"at least one, and in {_percent(total.failed_first, total.kept)} the first one failed and was repaired.",
            f"{total.attempts} attempts were made. They took {took}.",
        ],
        notes=notes,
        tables=[
            *_shares("prompt variant", total.variants, total.kept),
            *_shares("style", total.styles, total.kept),
            *_shares("rejected as", total.rejections, total.attempts),
            "| task | kept | attempts | several programs | variants | styles | rejected |",
            "|---|---:|---:|---:|---|---|---|",
            *(
                f"| {one.task} | {one.kept}{'' if one.complete else ' (budget)'} | {one.attempts} | {one.multi_turn} "
                f"| {_counts(one.variants)} | {_counts(one.styles)} | {_counts(one.rejections)} |"
                for one in statistics
            ),
        ],
        provenance=provenance,
    )


def _shares(head: str, counts: Counter[str], total: int) -> list[str]:
    if not counts:
        return []
    rows = [f"| {name} | {count} | {_percent(count, total)} |" for name, count in counts.most_common()]
    return [f"| {head} | count | share |", "|---|---:|---:|", *rows, ""]


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0 %"
