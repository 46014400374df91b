"""What the documentation shows works as shown."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from r1ci_plugins import hookspecs
from r1ci_plugins.plugins.packs import load_packs
from r1ci_plugins.plugins.registry import load_plugins
from r1ci_plugins.questions.splits import draw
from r1ci_plugins.recipe.loading import load_recipe
from r1ci_plugins.rewards.verifier import ask_task

ROOT = Path(__file__).parents[1]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def install(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(module: str, source: str, group: str, name: str) -> list[str]:
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}\n")
        return [str(tmp_path)]

    return write


def test_the_pack_of_contributing_works(install):
    path = install("my_tasks", blocks(CONTRIBUTING, "python")[0], "r1ci.task_packs", "my_tasks")
    pack = load_packs(["my_tasks"], path=path)["my_tasks"]
    task = pack["binomial"]
    for question in draw("my_tasks", task, "rl", 7, 20, 2):
        assert ask_task(task, question, f" {question.answer}. ").correct
        assert not ask_task(task, question, question.answer + "1").correct


def test_the_pack_of_contributing_is_short_and_passes_outside_the_repository(tmp_path):
    files = {"my_tasks.py": blocks(CONTRIBUTING, "python")[0], "pyproject.toml": blocks(CONTRIBUTING, "toml")[0]}
    assert sum(len(text.splitlines()) for text in files.values()) < 40
    folder, environment = tmp_path / "pack", tmp_path / "environment"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    # A fresh environment, with what is installed here in reach: a third party would have got that from an index.
    venv.create(environment)
    (library,) = environment.glob("lib/python*/site-packages")
    (library / "installed.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    python = str(environment / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, str(folder)], check=True, cwd=tmp_path)
    shutil.rmtree(folder)  # what is validated is what was installed
    r1ci = [python, "-c", "from r1ci_plugins.cli.main import main; main()"]
    shown = subprocess.run([*r1ci, "validate", "my_tasks"], cwd=tmp_path, capture_output=True, text=True)
    assert shown.returncode == 0 and "1 passed, 0 failed" in shown.stdout, shown.stdout + shown.stderr


def test_the_plugin_of_contributing_works(install):
    path = install("my_plugin", blocks(CONTRIBUTING, "python")[1], "r1ci.plugins", "mine")
    plugins = load_plugins(["mine"], path=path)
    assert callable(plugins.make("reward_terms", "brevity", {"tokens": 500}))


def test_the_recipe_of_the_readme_loads(tmp_path):
    (tmp_path / "recipe.yaml").write_text(blocks(README, "yaml")[0])
    assert load_recipe(tmp_path / "recipe.yaml").protocol.max_code_calls == 8


def test_the_readme_lists_every_hook():
    assert set(re.findall(r"^\| `(r1ci_\w+)`", README, re.MULTILINE)) == {
        name for name in vars(hookspecs) if name.startswith("r1ci_")
    }


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md"])
def test_links_and_paths_exist(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists(), target
