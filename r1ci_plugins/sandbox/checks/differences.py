"""How a program in the sandbox differs from one under plain Python, on purpose. Nothing else may differ."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """One difference by design.

    Attributes:
        what: What a program meets.
        why: The reason.
        backends: Where it is so; empty for everywhere.
        programs: Names of the programs of our corpus and of the shared cases that show it.
    """

    what: str
    why: str
    backends: Collection[str] = ()
    programs: Collection[str] = ()

    def applies_to(self, isolation: str) -> bool:
        """Whether it is so with that isolation."""
        return not self.backends or isolation in self.backends


BY_DESIGN = (
    Difference(
        "stdout passes on each line at once, as on a terminal",
        "what was printed before a kill or os._exit is not lost; into a pipe, Python would keep it back",
    ),
    Difference(
        "random and numpy.random are seeded, and hashes are fixed",
        "the same program gives the same result",
    ),
    Difference(
        "there is no network but loopback, and no process of the machine",
        "isolation",
        ("firejail", "bwrap"),
    ),
    Difference(
        "files can be written in the working directory and /dev/shm alone",
        "nothing is left for the next program; TMPDIR and HOME are the working directory",
    ),
    Difference(
        "limits of time, memory, file size, processes and open files are lower",
        "one program must not take the machine",
    ),
    Difference(
        "a program ends with its main process: what it leaves running is killed",
        "nothing is left for the next program",
    ),
    Difference(
        "the packages with the tasks' checkers cannot be imported",
        "a program could look up an answer",
    ),
    Difference(
        "under root, the user id has no name, and pwd.getpwuid fails",
        "each slot has a user id of its own; USER and LOGNAME are set",
        programs=("sibM_pwd",),
    ),
    Difference(
        "on Python 3.12 and newer, calls through C count a little differently at the very limit of recursion",
        "the interpreter counts them apart, and ours come first",
        programs=("depth_sorted_500",),
    ),
    Difference(
        "tracebacks name the program main.py, without its folder",
        "shorter for the model to read; __file__ is the whole path",
    ),
)
"""All of them; `r1ci sandbox check` prints them."""
