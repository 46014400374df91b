from __future__ import annotations

import contextlib
import io
import json
import random
import subprocess
import sys
import types
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from r1ci_tasks_bbh import forms, published, r1ci_task_packs
from r1ci_tasks_bbh.hyperbaton import _ADJECTIVES
from r1ci_tasks_bbh.movie_recommendation import _GENRES
from r1ci_tasks_bbh.object_counting import _SINGULARS
from r1ci_tasks_bbh.problem import Problem, options_of, with_options
from r1ci_tasks_bbh.ruin_names import _NAMES
from r1ci_tasks_bbh.sports_understanding import _ATHLETES, _DEEDS
from r1ci_tasks_bbh.task import BbhTask, OwnQuestions, problem_text

from r1ci_plugins import Question, Task
from r1ci_plugins.errors import MissingData, TaskError
from r1ci_plugins.questions.splits import draw
from r1ci_plugins.tasks.answers import Unreadable

PACK = r1ci_task_packs()[0]
TASKS: list[BbhTask] = list(PACK.tasks)  # type: ignore[arg-type]
GENERATED = [task for task in TASKS if not isinstance(task, OwnQuestions)]
DATA_ONLY = [task for task in TASKS if isinstance(task, OwnQuestions)]
SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "bbh"
READ_BY_SOLVERS = """
boolean_expressions multistep_arithmetic_two object_counting dyck_languages word_sorting navigate web_of_lies
logical_deduction_three_objects logical_deduction_five_objects logical_deduction_seven_objects
tracking_shuffled_objects_three_objects tracking_shuffled_objects_five_objects tracking_shuffled_objects_seven_objects
temporal_sequences formal_fallacies
"""
WITH_PROGRAMS = [PACK[name] for name in [*READ_BY_SOLVERS.split()[:-2], "date_understanding"]]

every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample of the published data is not here")


@pytest.fixture(autouse=True)
def no_published_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(published.VARIABLE, raising=False)


def correct(task: Task, question: Question, answer: str) -> bool:
    try:
        return task.check(question, answer) is True
    except Unreadable:
        return False


def write_official(folder: Path, task: str, problems: list[Problem]) -> None:
    examples = [{"input": problem.input, "target": problem.target} for problem in problems]
    folder.mkdir(exist_ok=True)
    (folder / f"{task}.json").write_text(json.dumps({"canary": "", "examples": examples}), encoding="utf-8")


def samples(task: BbhTask) -> list[Question]:
    examples = json.loads((SAMPLES / f"{task.name}.json").read_text(encoding="utf-8"))["examples"]
    return [task.ask(Problem(example["input"], example["target"]), "samples") for example in examples]


def output_of(code: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "program", "exec"), {"__name__": "__main__"})
    return out.getvalue().strip()


def test_all_27_tasks_are_there() -> None:
    assert len(TASKS) == 27
    assert len(DATA_ONLY) == 7


@pytest.mark.parametrize("task", GENERATED, ids=lambda task: task.name)
def test_solvers_agree_with_generators_at_every_level(task: BbhTask) -> None:
    for level in range(task.levels):
        for seed in range(40):
            question = task.generate(random.Random(f"solve {level} {seed}"), level)
            assert task.solve(question) == question.answer, question.text


@pytest.mark.parametrize("task", WITH_PROGRAMS, ids=lambda task: task.name)
def test_programs_print_the_answer_in_three_styles(task: BbhTask) -> None:
    styles = set()
    for level in range(task.levels):
        for seed in range(5):
            question = task.generate(random.Random(f"programs {level} {seed}"), level)
            for program in task.programs(question):
                assert correct(task, question, output_of(program.code)), f"{question.text}\n{program.code}"
                styles.add(program.style)
    assert len(styles) >= 3


@needs_samples
@every_task
def test_published_answers_are_accepted_and_corrupted_ones_rejected(task: BbhTask) -> None:
    for question in samples(task):
        assert published.fault(Problem(problem_text(question), question.answer), task.form) is None
        assert correct(task, question, question.answer)
        for wrong in corruptions(task.form, question):
            assert not correct(task, question, wrong), wrong


def corruptions(form: forms.Form, question: Question) -> list[str]:
    """Answers of the right form that are wrong, as all of these tasks have one right answer."""
    target = question.answer
    if form is forms.LETTER:
        return [f"({letter})" for letter in options_of(question.text) if f"({letter})" != target]
    if form is forms.INTEGER:
        return [str(int(target) + 1), str(-int(target)) if int(target) else "10", target + "0"]
    if form is forms.BRACKETS:
        return [target + " )", " ".join(target.split()[1:]), target.translate(str.maketrans(")]}>", "]}>)"))]
    if form is forms.WORDS:
        words = target.split()
        return [" ".join(reversed(words)), " ".join(words[1:]), " ".join([*words, words[0]])]
    opposite = {"yes": "no", "no": "yes", "true": "False", "false": "True", "valid": "invalid", "invalid": "valid"}
    return [opposite[target.casefold()]]


@needs_samples
@pytest.mark.parametrize("name", READ_BY_SOLVERS.split())
def test_solvers_read_the_published_wording(name: str) -> None:
    task = PACK[name]
    for question in samples(task):  # type: ignore[arg-type]
        solution = task.solve(question)
        assert solution is not None and correct(task, question, solution), question.text


@needs_samples
@pytest.mark.parametrize("name", READ_BY_SOLVERS.split()[:-2])
def test_programs_solve_published_questions(name: str) -> None:
    task = PACK[name]
    for question in samples(task)[:5]:  # type: ignore[arg-type]
        programs = task.programs(question)
        assert len(programs) >= 3
        for program in programs:
            assert correct(task, question, output_of(program.code)), f"{question.text}\n{program.code}"


@every_task
def test_a_folder_of_official_files_is_a_source(
    task: BbhTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [task.make(random.Random(seed), 0) for seed in range(20)]
    write_official(tmp_path, task.name, made)
    monkeypatch.setenv(published.VARIABLE, str(tmp_path))
    question = task.generate(random.Random(1), None)
    assert Problem(problem_text(question), question.answer) in made
    assert question.metadata["source"] == str(tmp_path)
    assert task.size == 20
    assert correct(task, question, question.answer)


def test_the_hub_is_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(name: str, configuration: str, split: str) -> list[dict[str, str]]:
        asked.append((name, configuration, split))
        return [{"input": "not ( True ) is", "target": "False"}]

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    monkeypatch.setenv(published.VARIABLE, "someone/bbh-copy")
    question = PACK["boolean_expressions"].generate(random.Random(1), None)
    assert question.answer == "False"
    assert asked == [("someone/bbh-copy", "boolean_expressions", "test")]


def test_the_hub_converts_what_is_made_by_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(name: str, *configuration: str, split: str, **options: object) -> list[dict[str, str]]:
        if configuration:
            raise RuntimeError("Dataset scripts are no longer supported")
        assert options == {
            "data_files": {"test": "boolean_expressions/test/*.parquet"},
            "revision": "refs/convert/parquet",
        }
        return [{"input": "not ( True ) is", "target": "False"}]

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    monkeypatch.setenv(published.VARIABLE, "someone/bbh-script")
    assert PACK["boolean_expressions"].generate(random.Random(1), None).answer == "False"


def test_a_failing_hub_is_missing_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*_: object, **__: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    monkeypatch.setenv(published.VARIABLE, published.HUB + "-unreachable")
    with pytest.raises(MissingData, match="no network"):
        PACK["snarks"].generate(random.Random(1), None)


def test_without_the_package_datasets_the_fix_is_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.setenv(published.VARIABLE, "someone/bbh-without-package")
    with pytest.raises(MissingData, match=r"r1ci-tasks-bbh\[data\]"):
        PACK["snarks"].generate(random.Random(1), None)


@pytest.mark.parametrize(
    "content", [None, "{", '{"examples": 3}', '{"examples": [{"input": "x"}]}', '{"examples": []}']
)
def test_data_that_is_not_there_is_said_when_it_is_asked_for(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / "snarks.json").write_text(content)
    monkeypatch.setenv(published.VARIABLE, str(tmp_path))
    task = r1ci_task_packs()[0]["snarks"]  # making the pack is no fault
    assert task.size is None
    with pytest.raises(MissingData, match="fix: .*R1CI_BBH"):
        task.generate(random.Random(1), None)
    with pytest.raises(TaskError):
        list(draw("bbh", task, "rl", 1, 1))


MOVIES = ("Which film is like Up?", ("Cars", "Saw", "Heat"))


@pytest.mark.parametrize(
    ("problem", "fault"),
    [
        (Problem(with_options(*MOVIES, "Cars").input, "Cars, Inc"), "not among"),
        (Problem(with_options(*MOVIES, "Cars").input, "(D)"), "not among"),
        (Problem(with_options(*MOVIES, "Cars").input, " "), "target is empty"),
        (with_options("Which film is like Up?", ("Cars", "Saw", "Cars"), "Cars"), "twice"),
        (with_options("Which film is like Up?", ("Cars", "", "Saw"), "Cars"), "missing"),
        (Problem("Which film?\nOptions:\n(A) Cars\n(C) Saw", "(A)"), "missing"),
        (Problem("Which film is like Up?", "(A)"), "fewer than two"),
        (Problem("", "(A)"), "input is empty"),
    ],
)
def test_bad_items_are_left_out(
    problem: Problem, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    good = with_options(*MOVIES, "Cars")
    assert published.fault(good, forms.LETTER) is None
    write_official(tmp_path, "movie_recommendation", [good, problem])
    monkeypatch.setenv(published.VARIABLE, str(tmp_path))
    task = PACK["movie_recommendation"]
    with caplog.at_level("INFO"):
        assert {task.generate(random.Random(seed), None).answer for seed in range(20)} == {good.target}
    assert task.size == 1
    assert "item 1 is left out" in caplog.text and fault in caplog.text


def test_an_input_with_two_targets_is_left_out_and_one_that_is_there_twice_is_not() -> None:
    torn, twice = ("Did the red wire cause it?", "Did the blue wire cause it?")
    problems = [Problem(torn, "Yes"), Problem(twice, "No"), Problem(torn, "No"), Problem(twice, "No")]
    good, bad = published.sift(problems, forms.YES_NO)
    assert good == [Problem(twice, "No")] * 2
    assert [(item.position, item.fault) for item in bad] == [
        (0, "the same input has another target elsewhere"),
        (2, "the same input has another target elsewhere"),
    ]


def test_a_target_of_another_form_is_a_fault() -> None:
    assert published.fault(Problem("Is it?", "perhaps"), forms.YES_NO)
    assert published.fault(Problem("How many?", "some"), forms.INTEGER)
    assert published.fault(Problem("Close: (", "x"), forms.BRACKETS)


@given(st.text("()[]{}<>", min_size=1, max_size=30), st.sampled_from(["", " ", ", ", "\n", "  "]))
def test_bracket_sequences_are_compared_whatever_stands_between(sequence: str, separator: str) -> None:
    task = PACK["dyck_languages"]
    question = task.ask(Problem("( (", " ".join(sequence)), "test")  # type: ignore[attr-defined]
    assert correct(task, question, separator.join(sequence))
    assert not correct(task, question, separator.join(sequence + ")"))
    assert not correct(task, question, question.example)


@given(st.permutations(["fig", "apple", "plum", "it&t", "pear"]), st.sampled_from([" ", ", ", "\n", "; "]))
def test_words_are_compared_in_order_whatever_stands_between(words: list[str], separator: str) -> None:
    task = PACK["word_sorting"]
    question = task.ask(Problem("", "apple fig it&t pear plum"), "test")  # type: ignore[attr-defined]
    assert correct(task, question, separator.join(words)) is (words == sorted(words))
    assert not correct(task, question, separator.join(sorted(words)[1:]))


@given(st.text(max_size=60))
def test_no_text_makes_a_checker_raise(answer: str) -> None:
    for task in TASKS:
        question = task.generate(random.Random(3), None)
        assert correct(task, question, answer) in (True, False)


def test_own_question_sets_are_named_as_such() -> None:
    for task in DATA_ONLY:
        assert task.generate(random.Random(1), None).metadata["source"] == "own question set"
    for task in GENERATED:
        assert task.generate(random.Random(1), None).metadata["source"] == "generated"


@pytest.mark.parametrize("task", DATA_ONLY, ids=lambda task: task.name)
def test_own_question_sets_are_balanced(task: BbhTask) -> None:
    answers = [task.generate(random.Random(f"balance {seed}"), None).answer for seed in range(600)]
    kinds = sorted(set(answers))
    assert all(answers.count(kind) > 600 / len(kinds) / 2 for kind in kinds), {k: answers.count(k) for k in kinds}


def test_nothing_is_in_two_classes() -> None:
    for words in (
        [word for adjectives in _ADJECTIVES.values() for word in adjectives.split()],
        [film for films in _GENRES.values() for film in films.split("; ")],
        [noun for nouns in _SINGULARS.values() for noun in nouns.split()],
        [name for names in _ATHLETES.values() for name in names.split("; ")],
        [deed for deeds in _DEEDS.values() for deed in deeds],
        [*_NAMES, *_NAMES.values()],
    ):
        assert len(set(words)) == len(words)


def test_importing_the_pack_imports_nothing_heavy() -> None:
    code = "import sys, r1ci_tasks_bbh; print({'datasets', 'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
