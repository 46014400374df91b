"""Each rule against a task that keeps it and tasks that each break it in one way."""

from __future__ import annotations

import ast
import random
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1ci_plugins import Program, Question, Score, Task
from r1ci_plugins.errors import MissingData
from r1ci_plugins.pack_checks.examination import Examination
from r1ci_plugins.pack_checks.likeness import same
from r1ci_plugins.pack_checks.rules import RULES
from r1ci_plugins.pack_checks.rules.right import variations
from r1ci_plugins.pack_checks.rules.wrong import (
    CORRUPTIONS,
    digit_changed,
    item_dropped,
    item_repeated,
    items_swapped,
)
from r1ci_plugins.tasks import answers


class Adding(Task):
    """Keeps every rule: adds up numbers, and lists the sums so far."""

    name = "adding"
    description = "Add numbers up."
    levels = 2

    def generate(self, rng, difficulty):
        numbers = [rng.randrange(1, 1000) for _ in range(4 + (difficulty or 0))]
        return self.ask(numbers)

    def ask(self, numbers):
        sums = [sum(numbers[: i + 1]) for i in range(len(numbers))]
        text = f"Add up {' and '.join(map(str, numbers))}. Give all sums so far between <<< and >>>: <<<[1, 3, 6]>>>."
        return Question(text, str(sums), {"sums": sums}, example="[1, 3, 6]")

    def check(self, question, answer):
        return answers.integers(answer) == question.metadata["sums"]

    def solve(self, question):
        total, found = 0, []
        for number in re.findall(r"\d+", question.text.partition(".")[0]):
            total += int(number)
            found.append(total)
        return ", ".join(map(str, found))

    def variations(self, question):
        return [question.answer.replace(",", ";")]


def examine(task, **options):
    """Names of the broken rules."""
    exam = Examination("demo", task, **options)
    found = [failure for rule in RULES.values() for failure in rule(exam)]
    return {failure.rule for failure in [*found, *exam.failures]}


def broken(**attributes):
    return type("Broken", (Adding,), attributes)()


def test_a_good_task_keeps_every_rule():
    assert examine(Adding()) == set()


def state():
    state.calls += 1
    return state.calls


state.calls = 0


def accepting(*texts):
    """A checker that also takes some texts for right."""
    return lambda self, question, answer: answer in texts or Adding.check(self, question, answer)


def evaluating(read):
    def check(self, question, answer):
        try:
            return list(read(answer)) == question.metadata["sums"]
        except Exception:
            return False

    return check


def opening(self, question, answer):
    with open(__file__) as file:
        return Adding.check(self, question, answer) and bool(file)


def slow(self, question, answer):
    started = time.process_time()
    while answer != question.answer and time.process_time() < started + 1.1:
        pass
    return Adding.check(self, question, answer)


def containing(self, question, answer):
    return question.answer in answer


def lenient(self, question, answer):
    return set(re.findall(r"\d+", answer)) == set(re.findall(r"\d+", question.answer))


def leaking(self, rng, difficulty):
    made = Adding.generate(self, rng, difficulty)
    return Question(f"{made.text} Hint: {made.answer}", made.answer, made.metadata, example=made.example)


def showing_the_answer(self, rng, difficulty):
    made = Adding.generate(self, rng, difficulty)
    return Question(made.text.replace("[1, 3, 6]", made.answer), made.answer, made.metadata, example=made.answer)


def tuples(self, rng, difficulty):
    made = Adding.generate(self, rng, difficulty)
    return Question(made.text, made.answer, {"sums": made.metadata["sums"], "pair": (1, 2)}, example=made.example)


@pytest.mark.parametrize(
    ("rule", "task"),
    [
        ("described", broken(description=" ")),
        ("described", broken(capability="magic")),
        ("same in every process", broken(generate=lambda self, rng, d: self.ask([random.randrange(999), 2, 3, 4]))),
        ("same in every process", broken(generate=lambda self, rng, d: self.ask([state(), 2, 3, 4]))),
        ("every level", broken(levels=3, generate=lambda self, r, d: Question("?", "x") if d else self.ask([5] * 9))),
        ("200 distinct questions", broken(generate=lambda self, rng, d: self.ask([rng.randrange(150), 3, 4, 5]))),
        ("200 distinct questions", broken(size=99, generate=lambda self, r, d: self.ask([r.randrange(90), 3, 4, 5]))),
        ("survives JSON and pickle", broken(generate=tuples)),
        ("no leak", broken(generate=leaking)),
        ("reference is right", broken(check=lambda self, question, answer: False)),
        ("solver agrees", broken(solve=lambda self, question: "1, 2, 3")),
        ("harmless variation", broken(check=lambda self, question, answer: answer == question.answer)),
        ("harmless variation", broken(variations=lambda self, question: ["one, two, three"])),
        ("empty scores 0", broken(check=accepting("[]"))),
        ("echo scores 0", broken(check=containing)),
        ("example scores 0", broken(check=accepting("[1, 3, 6]"))),
        ("example scores 0", broken(generate=showing_the_answer)),
        ("another question's answer scores 0", broken(check=lambda self, q, a: len(answers.integers(a)) == 4)),
        ("corruption scores 0", broken(check=lenient)),
        ("odd text scores 0", broken(check=accepting("nan"))),
        ("odd text scores 0", broken(check=lambda s, q, a: Adding.check(s, q, re.sub("<[^<>]*>", "", a)))),
        ("answers in time", broken(check=slow)),
        ("never raises", broken(check=lambda self, question, answer: [int(answer)] == question.answer)),
        ("never evaluates", broken(check=evaluating(eval))),
        ("never evaluates", broken(check=evaluating(ast.literal_eval))),
        ("never evaluates", broken(check=opening)),
        ("scores in [0, 1]", broken(check=lambda self, question, answer: 2.0)),
        ("scores in [0, 1]", broken(check=lambda self, question, answer: Score(float("nan")))),
        ("scores in [0, 1]", broken(check=lambda self, question, answer: None)),
    ],
)  # fmt: skip
def test_each_rule_finds_what_breaks_it(rule, task):
    assert rule in examine(task)


def test_an_import_within_a_checker_is_no_evaluation():
    def check(self, question, answer):
        if len(answer) > 10:
            import this_module_does_not_exist_ as _  # noqa: F401
        return Adding.check(self, question, answer)

    def importing(self, question, answer):
        import colorsys  # noqa: F401

        return Adding.check(self, question, answer)

    assert examine(broken(check=importing)) == set()
    assert "never raises" in examine(broken(check=check))


def test_several_right_answers_are_left_to_the_checker_but_it_must_reject_some():
    def any_order(self, question, answer):
        return sorted(answers.integers(answer)) == question.metadata["sums"]

    assert examine(broken(check=any_order)) == {"corruption scores 0"}
    assert examine(broken(check=any_order, unique=False)) == set()
    # An item repeated is always right here, which `unique = False` does not excuse.
    assert "corruption scores 0" in examine(broken(check=lenient, unique=False))


def test_programs_are_run_and_judged():
    def programs(self, question):
        right = f"print([number + 0 for number in {question.answer}])"
        return [Program("direct", right), Program("wrong", "print([number + 0 for number in [1, 2]])")]

    printed = {}

    def run(code):
        printed[code] = eval(code.removeprefix("print"))
        return f"{printed[code]}\n"

    assert examine(broken(programs=programs), run_program=run) == {"programs are right"}
    assert len(printed) == 2
    exam = Examination("demo", broken(programs=programs))
    assert list(RULES["programs are right"](exam)) == [] and "sandbox" in exam.notes["programs are right"]


def test_a_slow_task_is_examined_on_fewer_questions():
    class Slow(Adding):
        def generate(self, rng, difficulty):
            time.sleep(0.05)
            return super().generate(rng, difficulty)

    exam = Examination("demo", Slow(), seconds=0.3)
    assert 5 <= len(exam.questions) < 20 and "slow" in exam.notes["200 distinct questions"]
    assert list(RULES["200 distinct questions"](exam)) == []


def test_a_slow_task_with_few_questions_is_found_by_its_repetitions():
    class SlowAndFew(Adding):
        def generate(self, rng, difficulty):
            time.sleep(0.01)
            return self.ask([rng.randrange(10), 2, 3, 4])

    exam = Examination("demo", SlowAndFew(), seconds=0.3)
    assert [failure.rule for failure in RULES["200 distinct questions"](exam)] == ["200 distinct questions"]


def test_a_small_set_of_data_is_enough_if_the_task_says_so():
    few = {"generate": lambda self, rng, d: self.ask([rng.randrange(30), 3, 4, 5])}
    assert "200 distinct questions" not in examine(broken(size=30, **few))


def test_missing_data_is_told_apart_from_a_fault():
    def generate(self, rng, difficulty):
        raise MissingData("the data is not here", fix="download it")

    with pytest.raises(MissingData):
        Examination("demo", broken(generate=generate))


NUMBERS = st.lists(st.integers(-999, 999), min_size=2, max_size=6)


@given(NUMBERS, st.randoms(use_true_random=False))
@pytest.mark.parametrize("form", [str, lambda n: ", ".join(map(str, n)), lambda n: "\n".join(map(str, n))])
@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_corruption_is_read_as_something_else(kind, form, numbers, rng):
    corrupted = CORRUPTIONS[kind](form(numbers), rng)
    if corrupted is not None:
        assert answers.integers(corrupted) != numbers
        assert kind != "letter changed"


@given(NUMBERS, st.randoms(use_true_random=False))
def test_what_a_corruption_does(numbers, rng):
    text = str(numbers)
    assert len(answers.integers(item_dropped(text, rng))) == len(numbers) - 1
    assert len(answers.integers(item_repeated(text, rng))) == len(numbers) + 1
    swapped = items_swapped(text, rng)
    assert (swapped is None) == (len(set(numbers)) == 1)
    assert swapped is None or sorted(answers.integers(swapped)) == sorted(numbers)
    changed = answers.integers(digit_changed(text, rng))
    assert sum(a != b for a, b in zip(changed, numbers, strict=True)) == 1


@given(st.lists(st.integers(-999, 999), min_size=2, max_size=6) | st.integers())
def test_variations_mean_the_same(value):
    for text in variations(str(value)):
        assert (answers.integers(text) if isinstance(value, list) else answers.integer(text)) == value


@pytest.mark.parametrize("answer", ["3,456", "x**2 + 1", "the `ls` command", 'say "no"', "58 days, 08:00", "f(1, 2)"])
def test_what_is_no_list_is_not_dressed_as_one(answer):
    assert not any(text.startswith(("[", "(")) for text in variations(answer))


def test_same_is_about_writing_only():
    assert same("[1, 2]", "1,2") and same('"A"', "a.") and not same("12", "21") and not same("1", "-1")


def test_a_name_that_no_recipe_could_write_is_refused():
    class Spaced(Adding):
        name = "Add Two"

    (found,) = RULES["described"](Examination("demo", Spaced()))
    assert "'Add Two'" in found.what and "add_two" in found.fix


def test_a_text_that_says_its_answer_is_a_leak_however_short_the_answer():
    class Telling(Adding):
        unique = False

        def ask(self, numbers):
            total = str(sum(numbers) % 10)
            return Question(f"What is the last digit of the sum of {numbers}? (The answer is {total}.)", total)

        def check(self, question, answer):
            return answer.strip() == question.answer

    assert [found.rule for found in RULES["no leak"](Examination("demo", Telling()))] == ["no leak"]
    assert not list(RULES["no leak"](Examination("demo", Adding())))


@pytest.mark.parametrize("code", ["print(24)", "x = '24'\nprint(x)", "print(str(-24))", "x = [1, 2]\nprint(x)"])
def test_a_program_that_prints_a_known_answer_is_refused(code):
    class Knowing(Adding):
        def programs(self, question):
            return [Program("direct", code)]

    (found,) = RULES["programs are right"](Examination("demo", Knowing(), run_program=lambda code: "24"))
    assert "computes nothing" in found.what
