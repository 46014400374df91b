"""Reference programs of the data sets that have them.

They use only what the text of a question says, and they are short, since a model learns to write them.
Where a question leaves something open, or the library's reference is doubtful, the function raises
ValueError.
"""

from __future__ import annotations

from r1ci_tasks_reasoning_gym.programs import arithmetic, dates, grids, integers, searches, words
from r1ci_tasks_reasoning_gym.programs.template import Programs

PROGRAMS: Programs = {
    **arithmetic.PROGRAMS,
    **dates.PROGRAMS,
    **grids.PROGRAMS,
    **integers.PROGRAMS,
    **searches.PROGRAMS,
    **words.PROGRAMS,
}
