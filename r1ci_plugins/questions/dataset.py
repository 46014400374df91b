"""A data set of questions on disk: prompts as Hugging Face ``datasets`` and OpenRLHF read them, with a card.

::

    <folder>/
      README.md                    the card; its front matter makes ``load_dataset(folder)`` and an upload work
      data/train-00000-of-00001.parquet, data/test-...   the prompts: ``input``, ``label``, ``datasource``
      jsonl/train.jsonl, test.jsonl                      the same for trainers that read lines
      dataset_dict.json, train/, test/                   the same for ``datasets.load_from_disk(folder)``
      build.json                   what it was made from

A folder is complete or absent: it is written beside its place and then renamed.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from r1ci_plugins.errors import MachineProblem, TaskError
from r1ci_plugins.questions.card import Provenance, data_card
from r1ci_plugins.questions.prompts import row, write_prompts
from r1ci_plugins.questions.splits import normalised
from r1ci_plugins.tasks.task import Question

ROWS_PER_SHARD = 50_000


def is_built(folder: Path, provenance: Provenance) -> bool:
    """Whether a folder holds exactly this data set. Raises MachineProblem if it holds something else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        if (folder / "build.json").read_text(encoding="utf-8") == provenance.to_json():
            return True
    except (OSError, UnicodeDecodeError):
        pass
    raise MachineProblem(
        f"{folder} holds something else, or a data set of another recipe or version",
        where="--out",
        fix="name another folder, or delete this one",
    )


def require_datasets() -> None:
    """Check that the package ``datasets`` is there, before anything is generated.

    Raises MachineProblem if it is not.
    """
    try:
        import datasets  # noqa: F401
    except ImportError as error:
        raise MachineProblem(
            f"data sets are written by the package datasets, which cannot be imported: {error}",
            fix="pip install 'r1ci-plugins[data]'",
        ) from error


def write_dataset(
    folder: Path,
    splits: Mapping[str, Sequence[Question]],
    render: Callable[[str], str],
    provenance: Provenance,
    notes: Sequence[str] = (),
) -> None:
    """Write a data set.

    Args:
        folder: Does not exist yet, or is empty.
        splits: Questions by split of the data set, ``train`` and ``test``; one without questions is left out.
        render: Question text to prompt text, as ``ChatTemplate.prompt_text``.
        provenance: What it is made from.
        notes: What a user should know besides, one sentence each.

    Raises:
        MachineProblem: The package ``datasets`` is missing, or the folder cannot be written.
        TaskError: Two splits share a question.
    """
    require_datasets()
    from datasets import Dataset, DatasetDict, disable_progress_bars

    check_disjoint(splits)
    splits = {name: questions for name, questions in splits.items() if questions}
    disable_progress_bars()  # milliseconds each; the questions had a bar of their own
    partial = folder.with_name(f"{folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        (partial / "data").mkdir(parents=True)
        made: dict[str, Dataset] = {}
        for name, questions in splits.items():
            made[name] = Dataset.from_list([row(question, render(question.text)) for question in questions])
            shards = -(-len(questions) // ROWS_PER_SHARD)
            for number in range(shards):
                shard = made[name].shard(shards, number, contiguous=True)
                shard.to_parquet(partial / "data" / f"{name}-{number:05d}-of-{shards:05d}.parquet")
            write_prompts(partial / "jsonl" / f"{name}.jsonl", questions, render)
        DatasetDict(made).save_to_disk(partial)
        (partial / "build.json").write_text(provenance.to_json(), encoding="utf-8")
        (partial / "README.md").write_text(card(folder.name, splits, provenance, notes), encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        os.replace(partial, folder)
    except OSError as error:
        raise MachineProblem(
            f"the data set cannot be written: {error}",
            where=str(folder),
            fix="free some space, or name another folder",
        ) from error


def check_disjoint(splits: Mapping[str, Sequence[Question]]) -> None:
    """Verify that no two questions, in one split or in two, have the same normalised text.

    Raises:
        TaskError: Two have; it names them.
    """
    seen: dict[str, Question] = {}
    for questions in splits.values():
        for question in questions:
            other = seen.setdefault(normalised(question.text), question)
            if other is not question:
                raise TaskError(
                    "two questions of the data set have the same text",
                    where=f"{other.key} and {question.key}",
                    fix="report it: splits are disjoint by the hash of the text",
                )


def card(name: str, splits: Mapping[str, Sequence[Question]], provenance: Provenance, notes: Sequence[str]) -> str:
    """The data set's README."""
    total = sum(map(len, splits.values()))
    sizes = (("n<1K", 1000), ("1K<n<10K", 10**4), ("10K<n<100K", 10**5), ("100K<n<1M", 10**6))
    counts = {split: Counter(question.task for question in questions) for split, questions in splits.items()}
    tasks = sorted(set().union(*counts.values()))
    drawn = {
        split: sorted({f"{question.split}, seed {question.seed}" for question in questions})
        for split, questions in splits.items()
    }
    return data_card(
        name,
        front={
            "tags": ["r1ci", "reasoning", "code-interpreter"],
            "size_categories": [next((size for size, below in sizes if total < below), "n>1M")],
        },
        splits=splits,
        summary=[
            "Questions of the task packs of r1ci-plugins, rendered as prompts of one model.",
            "Columns: `input` (the prompt, as the model's chat template renders it), `label` (the question as JSON:",
            "text, answer, metadata, split, index, seed, difficulty), `datasource` (the task).",
            "",
            "    datasets.load_dataset(FOLDER)          # data/*.parquet",
            "    datasets.load_from_disk(FOLDER)        # the same in Arrow",
            "    --data.prompt_dataset FOLDER --data.input_key input --data.label_key label      # OpenRLHF",
            "",
            f"{total} questions of {len(tasks)} tasks. No two have the same text (NFKC, case and white space aside);",
            "this was verified within and across splits.",
            "",
            "| split | questions | drawn from |",
            "|---|---:|---|",
            *(f"| {split} | {len(questions)} | {'; '.join(drawn[split])} |" for split, questions in splits.items()),
        ],
        notes=notes,
        tables=[
            f"| task | {' | '.join(splits)} |",
            f"|---|{'---:|' * len(splits)}",
            *(f"| {task} | {' | '.join(str(counts[split][task]) for split in splits)} |" for task in tasks),
        ],
        provenance=provenance,
    )
