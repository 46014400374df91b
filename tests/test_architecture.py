"""The import rules of the package, checked on its source: rot starts where these are bent."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from r1ci_plugins import hookspecs

ROOT = Path(__file__).parents[1] / "r1ci_plugins"
HEAVY = {"torch", "ray", "vllm", "openrlhf", "deepspeed", "transformers"}
MIDDLE = ("protocol", "rollout", "rewards", "tasks")


def _imports(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT)))
def test_import_rules(file):
    package, imports = file.relative_to(ROOT).parts[0], _imports(file)
    top = {name.partition(".")[0] for name in imports}
    ours = {name.split(".")[1] for name in imports if name.startswith("r1ci_plugins.")}
    if package != "openrlhf_bridge":
        assert not top & HEAVY
    if package != "recipe.py":
        assert "pydantic" not in top
    if package in MIDDLE:
        assert not ours & {"cli", "openrlhf_bridge"}
    if package == "sandbox":
        assert ours <= {"errors", "sandbox", "suggestion"}
    assert "None" not in imports, "relative imports hide where a name comes from"


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
