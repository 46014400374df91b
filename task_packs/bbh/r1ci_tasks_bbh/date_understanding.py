"""date_understanding: a date some time before or after a day that is described."""

from __future__ import annotations

import datetime
import random
import re
from collections.abc import Sequence

from r1ci_plugins import Program, Question
from r1ci_tasks_bbh.forms import LETTER
from r1ci_tasks_bbh.problem import Problem, letter_of, options_of, with_shuffled_options
from r1ci_tasks_bbh.task import BbhTask, problem_text

_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}

Shift = tuple[int, int]
"""How far one day lies after another, in days and months."""


class DateUnderstanding(BbhTask):
    """Questions are made with the standard library's dates and solved with day numbers counted by hand."""

    name = "date_understanding"
    description = "Work out a date from a description of today."
    capability = "reasoning"
    form = LETTER

    def make(self, rng: random.Random, level: int) -> Problem:
        # Up to day 28, every month and year has the same day.
        today = datetime.date(rng.randint(1900, 2030), rng.randint(1, 12), rng.randint(1, 28))
        premise = _premise(rng, level, today)
        (days, months), words = _asked(rng, level)
        while words.split()[-1] == premise.split()[0].lower():  # else the question would state its own answer
            (days, months), words = _asked(rng, level)
        right = _after(today, days, months)
        wrong: list[datetime.date] = []
        while len(wrong) < 5:
            near = _after(right, rng.choice((-7, -2, -1, 0, 0, 1, 2, 7, 10)), rng.choice((-12, -1, 0, 0, 1, 12)))
            if near != right and near not in wrong:
                wrong.append(near)
        return with_shuffled_options(
            rng,
            f"{premise} What date {words}, in the form MM/DD/YYYY?",
            [_slashes(date) for date in (right, *wrong)],
            _slashes(right),
        )

    def solution(self, text: str) -> str | None:
        read = _read(text)
        if read is None:
            return None
        (year, month, day), (days, months) = read
        year, month = year + (month - 1 + months) // 12, (month - 1 + months) % 12 + 1
        number = _number(year, month, day) + days
        year = number // 366
        while _number(year + 1, 1, 1) <= number:
            year += 1
        month = max(m for m in range(1, 13) if _number(year, m, 1) <= number)
        return letter_of(text, f"{month:02}/{number - _number(year, month, 1) + 1:02}/{year:04}")

    def programs(self, question: Question) -> Sequence[Program]:
        text = problem_text(question)
        read = _read(text)
        if read is None:
            return ()
        (year, month, day), (days, months) = read
        options = {option: f"({letter})" for letter, option in options_of(text).items()}
        data = (
            f"options = {options!r}\nyear, month, day = {year}, {month}, {day}\n"
            f"days, months = {days}, {months}  # how much later\n"
        )
        return tuple(Program(style, data + code) for style, code in _PROGRAMS.items())


def _after(date: datetime.date, days: int, months: int) -> datetime.date:
    years, month = divmod(date.month - 1 + months, 12)
    day = min(date.day, 28) if months else date.day
    return date.replace(year=date.year + years, month=month + 1, day=day) + datetime.timedelta(days)


def _slashes(date: datetime.date) -> str:
    return f"{date.month:02}/{date.day:02}/{date.year:04}"


def _written(rng: random.Random, date: datetime.date) -> str:
    month = _MONTHS[date.month - 1]
    return rng.choice((f"{month} {date.day}, {date.year}", f"{date.day} {month} {date.year}"))


def _premise(rng: random.Random, level: int, today: datetime.date) -> str:
    """A sentence or two from which today's date follows."""
    kind = rng.randrange((2, 4, 6)[level])
    if kind == 0:
        return f"Today is {_written(rng, today)}."
    if kind == 1:
        word = rng.choice(("yesterday", "tomorrow"))
        verb = "was" if word == "yesterday" else "will be"
        date = today + datetime.timedelta(_DAYS[word])
        return f"{word.capitalize()} {verb} {_written(rng, date)}."
    if kind == 2:
        return f"Written the European way, day first, today is {today.day:02}/{today.month:02}/{today.year}."
    count = rng.randint(2, 60)
    unit, days = rng.choice((("days", 1), ("weeks", 7)))
    if kind == 3:
        date = today - datetime.timedelta(count * days)
        return f"On {_written(rng, date)} Nora moved house. That was exactly {count} {unit} ago."
    if kind == 4:
        date = today + datetime.timedelta(count * days)
        return f"The ship arrives on {_written(rng, date)}, which is exactly {count} {unit} from now."
    return (
        f"Ken believes that it is {_written(rng, today + datetime.timedelta(1))}, but he is one day ahead of the "
        "calendar."
    )


def _asked(rng: random.Random, level: int) -> tuple[Shift, str]:
    if level == 0 or rng.random() < 0.2:
        word = rng.choice(list(_DAYS))
        verb = {"yesterday": "was it", "today": "is it", "tomorrow": "will it be"}[word]
        return (_DAYS[word], 0), f"{verb} {word}"
    count = rng.randint(2, 30)
    unit, days, months = rng.choice((("days", 1, 0), ("weeks", 7, 0), ("months", 0, 1), ("years", 0, 12)))
    if rng.random() < 0.5:
        return (-count * days, -count * months), f"was it {count} {unit} ago"
    return (count * days, count * months), f"will it be {count} {unit} from today"


def _number(year: int, month: int, day: int) -> int:
    """The number of a day; consecutive days have consecutive numbers (proleptic Gregorian calendar)."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    before = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)[month - 1] + (1 if leap and month > 2 else 0)
    past = year - 1
    return past * 365 + past // 4 - past // 100 + past // 400 + before + day


_UNITS: dict[str, Shift] = {"days": (1, 0), "weeks": (7, 0), "months": (0, 1), "years": (0, 12)}


def _read(text: str) -> tuple[tuple[int, int, int], Shift] | None:
    """A date that the text states (year, month, day), and how far the date asked for lies after it."""
    premise, _, question = text.partition("\nOptions:")[0].partition(" What date ")
    month = "|".join(_MONTHS)
    if found := re.search(r"(\d\d)/(\d\d)/(\d{4})", premise):
        told = int(found[3]), int(found[2]), int(found[1])
    elif found := re.search(rf"({month}) (\d+), (\d+)", premise):
        told = int(found[3]), _MONTHS.index(found[1]) + 1, int(found[2])
    elif found := re.search(rf"(\d+) ({month}) (\d+)", premise):
        told = int(found[3]), _MONTHS.index(found[2]) + 1, int(found[1])
    else:
        return None
    shift = 0
    if premise.startswith("Yesterday"):
        shift = 1
    elif premise.startswith("Tomorrow") or "one day ahead" in premise:
        shift = -1
    elif found := re.search(r"exactly (\d+) (days|weeks) (ago|from now)", premise):
        shift = int(found[1]) * _UNITS[found[2]][0] * (1 if found[3] == "ago" else -1)
    if found := re.search(r"(\d+) (\w+) (ago|from today)", question):
        count, (days, months) = int(found[1]) * (-1 if found[3] == "ago" else 1), _UNITS[found[2]]
        if months and shift:
            # Months count from today, whose own date has to be worked out first.
            told, shift = _moved(told, shift), 0
        return told, (shift + count * days, count * months)
    if found := re.search(r"(yesterday|today|tomorrow)", question):
        return told, (shift + _DAYS[found[1]], 0)
    return None


def _moved(date: tuple[int, int, int], days: int) -> tuple[int, int, int]:
    """Step a date day by day."""
    year, month, day = date
    for _ in range(abs(days)):
        day += 1 if days > 0 else -1
        if day < 1:
            year, month = (year, month - 1) if month > 1 else (year - 1, 12)
            day = _length(year, month)
        elif day > _length(year, month):
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
            day = 1
    return year, month, day


def _length(year: int, month: int) -> int:
    following = (year, month + 1, 1) if month < 12 else (year + 1, 1, 1)
    return _number(*following) - _number(year, month, 1)


_PROGRAMS = {
    "timedelta": """\
from datetime import date, timedelta

total = year * 12 + month - 1 + months
day = date(total // 12, total % 12 + 1, day) + timedelta(days=days)
print(options[day.strftime("%m/%d/%Y")])
""",
    "ordinal": """\
import datetime

years, month0 = divmod(month - 1 + months, 12)
start = datetime.date(year + years, month0 + 1, day)
end = datetime.date.fromordinal(start.toordinal() + days)
print(options[f"{end.month:02}/{end.day:02}/{end.year}"])
""",
    "stepping": """\
import calendar

for _ in range(abs(months)):
    month += 1 if months > 0 else -1
    if month in (0, 13):
        year, month = (year + 1, 1) if month == 13 else (year - 1, 12)
for _ in range(abs(days)):
    day += 1 if days > 0 else -1
    if day == 0:
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
        day = calendar.monthrange(year, month)[1]
    elif day > calendar.monthrange(year, month)[1]:
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        day = 1
print(options["%02d/%02d/%04d" % (month, day, year)])
""",
}
