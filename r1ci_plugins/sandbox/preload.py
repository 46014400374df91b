"""Preload profiles: which libraries a zygote has imported before a program comes, chosen by the program's imports.

A light zygote forks ten times faster than one with scientific libraries, and a library that is imported in advance
costs a program nothing. A program sees no difference but time: what its profile lacks, it imports itself.
"""

import re
from collections.abc import Mapping

PROFILES: Mapping[str, tuple[str, ...]] = {
    "light": (),
    "numeric": ("sympy", "numpy"),
    "scientific": (
        *("sympy", "numpy", "scipy", "scipy.optimize", "scipy.stats", "scipy.sparse", "scipy.linalg", "pandas"),
        *("networkx", "matplotlib.pyplot", "sklearn"),
    ),
}
"""Modules by profile, from small to large; those not installed are skipped. sympy looks for numpy, and comes first."""

_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+(\w+)|import[ \t]+([\w., \t]+))", re.MULTILINE)


def profile_of(code: str) -> str:
    """Return the smallest profile with everything that the code imports by name and any profile has."""
    wanted: set[str] = set()
    for first, several in _IMPORT.findall(code):
        names = [first] if first else re.split(r"[,\s]+", several)
        wanted |= {name.partition(".")[0] for name in names}
    packages = {name: {module.partition(".")[0] for module in modules} for name, modules in PROFILES.items()}
    wanted &= set().union(*packages.values())
    return next(name for name, has in packages.items() if wanted <= has)
