"""Makes the folder of a new task pack from the templates in ``new_pack/``."""

import keyword
import re
import sys
from importlib.resources import files
from pathlib import Path
from string import Template

from r1ci_plugins.errors import PluginError
from r1ci_plugins.plugins.registry import installed
from r1ci_plugins.rollout.run_folder import writing
from r1ci_plugins.rollout.whole_file import write_whole

_TEMPLATES = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    "$name.py": "module.py.txt",
    "tests/test_$name.py": "test.py.txt",
}
"""Files of a new pack, and the template of each."""


def make_pack(name: str, place: Path) -> None:
    """Make a folder with a pack that works: one task, its test, and what to change.

    Raises:
        PluginError: The name cannot be a module's, or something of that name exists.
        MachineProblem: The folder cannot be written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or name in sys.stdlib_module_names:
        raise PluginError(
            f"{name!r} cannot be the name of a pack",
            fix="use lower-case letters, digits and underscores, such as my_tasks; not a name of Python's own",
        )
    taken = [one.origin for one in installed() if one.origin.name == name and one.origin.kind == "task pack"]
    if taken:
        raise PluginError(f"a pack of that name is installed: {taken[0]}", fix="choose another name")
    if place.exists():
        raise PluginError(f"{place} exists already", fix="choose another name, or another folder with --dir")
    values = {"name": name, "distribution": name.replace("_", "-")}
    templates = files("r1ci_plugins.pack_checks") / "new_pack"
    with writing(place, "the new pack", "free some space, or choose another folder with --dir"):
        for target, template in _TEMPLATES.items():
            text = Template((templates / template).read_text(encoding="utf-8")).substitute(values)
            write_whole(place / Template(target).substitute(values), text.encode())
