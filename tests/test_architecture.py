"""The shape of the package: what import-linter does not see."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from r1ci_plugins import hookspecs

REPOSITORY = Path(__file__).parents[1]
ROOT = REPOSITORY / "r1ci_plugins"
HEAVY = {"torch", "ray", "vllm", "openrlhf", "deepspeed", "transformers"}
FILES = sorted(ROOT.rglob("*.py"))


def floors() -> dict[str, int]:
    """The floor of each room, from the contract that import-linter checks; the ground is 0."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (contract,) = [one for one in settings["contracts"] if one["id"] == "layers"]
    return {
        room.strip(" ()"): floor
        for floor, rooms in enumerate(reversed(contract["layers"]))
        for room in rooms.replace(":", "|").split("|")
    }


def test_no_import_is_excused_from_pointing_down():
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(one for one in settings["contracts"] if one["id"] == "layers")
    assert layers["exhaustive"] and layers["ignore_imports"] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_files_are_short_and_name_what_they_import(file):
    text = file.read_text(encoding="utf-8")
    # The zygote is sent into the jail as one text.
    assert len(text.splitlines()) <= 500 or file.name == "zygote.py"
    relative = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom) and node.level]
    assert not relative, "relative imports hide where a name comes from"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_room_does_not_import_the_package_itself(file):
    """The root hands names to pack authors; a room that took them from there would depend on the hooks' floor."""
    if file.parent == ROOT or file.relative_to(ROOT).parts[0] == "cli":
        return
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    roots = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "r1ci_plugins"]
    assert all((ROOT / f"{alias.name}.py").exists() for node in roots for alias in node.names)


def test_the_root_has_at_most_five_modules_and_every_room_says_what_it_is_for():
    assert len(list(ROOT.glob("*.py"))) <= 5
    for folder in {file.parent for file in FILES}:
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))), folder
    assert {file.stem for file in (ROOT / "tasks").glob("*.py")} == {"__init__", "task", "answers", "expressions"}


@pytest.mark.parametrize("file", sorted((ROOT / "cli").glob("*.py")), ids=lambda file: file.stem)
def test_commands_only_parse_and_print(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= 25, f"{node.name} has {lines} lines"


def test_importing_the_package_imports_nothing_heavy():
    program = "import r1ci_plugins, sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert not set(shown.split()) & (HEAVY | {"pydantic", "typer", "rich", "yaml", "numpy"})


@pytest.mark.parametrize("hook", [name for name in vars(hookspecs) if name.startswith("r1ci_")])
def test_every_hook_is_documented_typed_and_exercised(hook):
    function = getattr(hookspecs, hook)
    assert function.__doc__ and "return" in function.__annotations__
    tests = Path(__file__).parent.rglob("test_*.py")
    exercised = [ROOT / "builtin.py", *(file for file in tests if file != Path(__file__))]
    assert any(f"def {hook}(" in file.read_text(encoding="utf-8") for file in exercised)


TRACED = """
import json, os, runpy, sys
root, floors, argv = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3:]
environment, inside, rises = floors["environment"], False, []

def floor(frame):
    name = frame.f_code.co_filename
    if not name.startswith(root):
        return None
    room = name[len(root) + 1 :].split("/")[0].removesuffix(".py")
    return floors.get(room)

def ours(frame):
    while frame is not None and (floor(frame) is None or frame.f_code.co_name in ("<module>", "<genexpr>")):
        frame = frame.f_back
    return frame

def watch(frame, event, argument):
    global inside
    if event not in ("call", "return") or floor(frame) is None or frame.f_code.co_name == "<module>":
        return  # an import is not a step of the recipe's
    name, caller = frame.f_code.co_name, ours(frame.f_back)
    if event == "call" and name == "prepare" and floor(frame) == environment:
        inside = True
        rises.append([])
    if not inside or caller is None:
        return
    here, there = floor(frame), floor(caller)
    if any(one.f_code.co_filename.endswith("/builtin.py") for one in (frame, caller)):
        return  # a plugin's hooks: they register things
    if event == "call" and here > there:
        rises[-1].append(f"call of {frame.f_code.co_qualname}, a higher floor, from {caller.f_code.co_qualname}")
    if event == "return" and here < there and there > environment:
        rises[-1].append(f"return from {frame.f_code.co_qualname} to {caller.f_code.co_qualname}")
    if event == "return" and name == "environment" and here == environment:
        inside = False
        if "synthesize" in argv:
            show()

def show():
    sys.setprofile(None)
    print("RISES", json.dumps(rises), flush=True)
    os._exit(0)

sys.argv = argv
sys.setprofile(watch)
try:
    if argv[0] == "r1ci":
        from r1ci_plugins.cli.main import main
    else:
        from r1ci_plugins.trainers.openrlhf.launcher import train_ppo as main
    main()
finally:
    show()
"""


@pytest.mark.stack
@pytest.mark.parametrize(
    "command",
    [
        ["r1ci", "run", "recipes/cpu-demo.yaml", "--dry-run"],
        ["r1ci", "synthesize", "--recipe", "recipes/synthesize-programs.yaml"],
        ["openrlhf.cli.train_ppo", "--plugin", "r1ci", "--recipe", "recipes/cpu-smoke.yaml", "--dry-run"],
    ],
    ids=["run", "synthesize", "train_ppo"],
)
def test_a_recipe_becomes_an_environment_without_climbing_back_up(command, tmp_path):
    """Follow the calls between ``prepare`` and the environment.

    A rise is a call of a function on a higher floor than its caller (but for the hooks, which register things), or a
    return into a room above ``environment.py``, where the command goes on by hand. At most three for each recipe.
    """
    arguments = [*command, "--set", f"output_dir={tmp_path / 'run'}"]
    shown = subprocess.run(
        [sys.executable, "-c", TRACED, str(ROOT), json.dumps(floors()), *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    lines = [line for line in shown.stdout.splitlines() if line.startswith("RISES ")]
    assert lines, shown.stdout + shown.stderr
    recipes = json.loads(lines[0].removeprefix("RISES "))
    assert recipes, shown.stdout + shown.stderr
    for rises in recipes:
        assert len(rises) <= 3, rises
