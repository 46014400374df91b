"""Programs about dates and times."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from datetime import datetime

from r1ci_tasks_reasoning_gym.programs.template import Codes, Programs, filled, found

_WEEKDAYS = tuple(calendar.day_name)
_MONTHS = tuple(calendar.month_name)[1:]
_ORDINALS = ("first", "second", "third", "fourth", "fifth")


def _calendar_arithmetic(text: str) -> Codes:
    if year := re.search(r"(\d{4})(?: is)? a leap year", text):
        return _leap_year(year[1])
    if offset := re.search(r"(\d+)[- ]days?", text):
        return _offset(text, int(offset[1]))
    if place := re.search(r"the (\w+) (\w+day)(?: of| in|,)", text):
        return _place_in_month(text, place[1], place[2])
    dates = _dates(text)
    if len(dates) == 2:
        return _count_days(text, dates)
    if len(dates) == 1:
        return filled(
            {
                "direct": 'from datetime import date\nprint(date(DATE).strftime("%A"))',
                "library": "import calendar\nprint(calendar.day_name[calendar.weekday(DATE)])",
            },
            date=dates[0],
        )
    # The weekday of January 1 alone does not say whether there is a February 29.
    raise ValueError("another kind of question about the calendar")


def _dates(text: str) -> Sequence[str]:
    """The dates of a question as arguments of ``date``; a date without a year has the year of the next date."""
    if numeric := re.search(r"(\d\d)/(\d\d)/(\d{4})", text):
        return [f"{numeric[3]}, {int(numeric[1])}, {int(numeric[2])}"]
    named = re.findall(rf"({'|'.join(_MONTHS)}) (\d\d?)\b(?:, (\d{{4}}))?", text)
    years = [year for *_, year in named if year]
    if not years:
        return []
    return [f"{year or years[-1]}, {_MONTHS.index(month) + 1}, {day}" for month, day, year in named]


def _leap_year(year: str) -> Codes:
    return filled(
        {
            "library": 'import calendar\nprint("Yes" if calendar.isleap(YEAR) else "No")',
            "direct": """
                year = YEAR
                leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
                print("Yes" if leap else "No")
            """,
        },
        year=year,
    )


def _offset(text: str, days: int) -> Codes:
    weekday = found(rf"({'|'.join(_WEEKDAYS)}), \w+ \d", text)[1]
    return filled(
        {
            "timedelta": """
                from datetime import date, timedelta
                print((date(DATE) SIGN timedelta(days=DAYS)).strftime("%A"))
            """,
            "index": """
                from calendar import day_name
                names = list(day_name)
                print(names[(names.index("WEEKDAY") SIGN DAYS) % 7])
            """,
        },
        date=_dates(text)[0],
        days=days,
        sign="-" if re.search(r"\bago\b|before|backward", text) else "+",
        weekday=weekday,
    )


def _place_in_month(text: str, ordinal: str, weekday: str) -> Codes:
    month, year = found(rf"({'|'.join(_MONTHS)}) (\d{{4}})", text).groups()
    return filled(
        {
            "library": """
                import calendar
                days = [week[WEEKDAY] for week in calendar.monthcalendar(YEAR, MONTH) if week[WEEKDAY]]
                print(PICK)
            """,
            "direct": """
                from calendar import monthrange
                first, length = monthrange(YEAR, MONTH)
                days = [d for d in range(1, length + 1) if (first + d - 1) % 7 == WEEKDAY]
                print(PICK)
            """,
        },
        year=year,
        month=_MONTHS.index(month) + 1,
        weekday=_WEEKDAYS.index(weekday),
        pick="days[-1]"
        if ordinal == "last"
        else f"days[{(n := _ORDINALS.index(ordinal))}] if len(days) > {n} else -1",
    )


def _count_days(text: str, dates: Sequence[str]) -> Codes:
    start, end = (tuple(map(int, date.split(", "))) for date in dates)
    if start > end:
        # The library writes the year of the start even where the end is in the next one.
        raise ValueError("the end is before the start")
    asked = re.search(rf"(?:many|of|does) ({'|'.join(_WEEKDAYS)})(?:s are| from| occur)", text)
    weekday = _WEEKDAYS.index(asked[1]) if asked else None
    return filled(
        {
            "stepping": """
                from datetime import date, timedelta
                day, count = date(START), 0
                while day <= date(END):
                    count += WEEKDAY
                    day += timedelta(days=1)
                print(count)
            """,
            "ordinal": """
                from datetime import date
                days = range(date(START).toordinal(), date(END).toordinal() + 1)
                print(sum(ORDINAL for n in days))
            """,
        },
        start=dates[0],
        end=dates[1],
        weekday="day.weekday() < 5" if weekday is None else f"day.weekday() == {weekday}",
        ordinal="(n - 1) % 7 < 5" if weekday is None else f"(n - 1) % 7 == {weekday}",
    )


_FORMATS = (
    *("%H:%M", "%H:%M:%S", "%H:%M:%S.%f"),
    *("%Y-%m-%d", "%B %d, %Y", "%m/%d/%Y", "%A, %B %d, %Y", "%a %b %d %Y", "%d %B %Y", "%Y-%m-%d (%A)"),
    *("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M %z", "%Y-%m-%d %H:%M:%S %z", "%a %b %d %Y %H:%M:%S"),
    *("%A, %B %d, %Y at %H:%M", "%d %B %Y, %H:%M", "%d %B %Y, %H:%M %z"),
)
_SPLIT = "minutes, s = divmod(span.seconds, 60)\nh, m = divmod(minutes, 60)\n"
_ANSWERS = {
    "D days": 'print(f"{span.days} days")',
    "D days, HH:MM": _SPLIT + 'print(f"{span.days} days, {h:02}:{m:02}")',
    "D days, HH:MM:SS": _SPLIT + 'print(f"{span.days} days, {h:02}:{m:02}:{s:02}")',
    "HH:MM": _SPLIT + 'print(f"{h:02}:{m:02}")',
    "HH:MM:SS": _SPLIT + 'print(f"{h:02}:{m:02}:{s:02}")',
    "HH:MM:SS.mmm": _SPLIT + 'print(f"{h:02}:{m:02}:{s:02}.{span.microseconds // 1000:03}")',
}


def _time_intervals(text: str) -> Codes:
    first, last, form = found(
        r"(?:between|from|started at|began at|departed at) (.+) "
        r"(?:and ended at|and completed at|and arrived at|and|to) (.+?)[.?] .*(?:nswer|result) in (.+)\.$",
        text,
    ).groups()
    layout = next((layout for layout in _FORMATS if _fits(first, layout) and _fits(last, layout)), None)
    if layout is None or form not in _ANSWERS:
        raise ValueError("times in an unknown form")
    start, end = (datetime.strptime(moment, layout) for moment in (first, last))
    return filled(
        {
            "library": """
                from datetime import datetime
                form = "LAYOUT"
                span = datetime.strptime("LAST", form) - datetime.strptime("FIRST", form)
                ANSWER
            """,
            "timedelta": """
                from datetime import NEEDED
                span = END - START
                ANSWER
            """,
        },
        layout=layout,
        first=first,
        last=last,
        needed="timedelta"
        if "%Y" not in layout
        else "datetime, timedelta, timezone"
        if "%z" in layout
        else "datetime",
        start=_moment(start, layout),
        end=_moment(end, layout),
        answer=_ANSWERS[form],
    )


def _fits(moment: str, layout: str) -> bool:
    try:
        datetime.strptime(moment, layout)
    except ValueError:
        return False
    return True


def _moment(moment: datetime, layout: str) -> str:
    """A moment in Python: a time of day as a span, any other as a date with the parts that its layout has."""
    clock = [
        (name, value)
        for directive, name, value in (
            ("%H", "hours", moment.hour),
            ("%M", "minutes", moment.minute),
            ("%S", "seconds", moment.second),
            ("%f", "milliseconds", moment.microsecond // 1000),
        )
        if directive in layout
    ]
    if "%Y" not in layout:
        return f"timedelta({', '.join(f'{name}={value}' for name, value in clock)})"
    parts = [str(value) for value in (moment.year, moment.month, moment.day, *(value for _, value in clock))]
    if offset := moment.utcoffset():
        parts.append(f"tzinfo=timezone(timedelta(hours={offset.total_seconds() / 3600:g}))")
    elif offset is not None:
        parts.append("tzinfo=timezone.utc")
    return f"datetime({', '.join(parts)})"


PROGRAMS: Programs = {"calendar_arithmetic": _calendar_arithmetic, "time_intervals": _time_intervals}
