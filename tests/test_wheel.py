"""The wheel beside OpenRLHF: it adds one module to a package that is not ours, and touches nothing else there."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALIAS = "openrlhf/cli/train_ppo.py"
pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("build", "hatchling")), reason="needs build and hatchling"
)


def python(*arguments, cwd, path=(), options=(), **environment) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *options, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "R1CI_CPU_BACKEND": "1", **environment},
        capture_output=True,
        text=True,
        timeout=200,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy of the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "tree with a space"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("r1ci_plugins", "recipes"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    built = python("-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist", copy, cwd=folder)
    assert built.returncode == 0, built.stdout + built.stderr
    (file,) = (folder / "dist").glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder that pip has installed the wheel into."""
    site = tmp_path_factory.mktemp("installed")
    done = python(
        "-m", "pip", "install", "--no-deps", "--no-index", "--disable-pip-version-check", "--target", site, wheel,
        cwd=site,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return site


@pytest.fixture(scope="module")
def upstream():
    try:
        return distribution("openrlhf")
    except PackageNotFoundError:
        pytest.skip("needs OpenRLHF: run `make setup`")


@pytest.fixture
def beside(installed, upstream, tmp_path) -> Path:
    """One site directory that holds OpenRLHF's files (linked) and the wheel's, as after two `pip install`."""
    site = shutil.copytree(installed, tmp_path / "site")
    for file in upstream.files:
        target = site / str(file)
        if not str(file).startswith(("..", "tests/")) and Path(file.locate()).suffix != ".pyc":
            assert not target.exists(), f"both distributions ship {file}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(Path(file.locate()).resolve())
    return site


def test_the_wheel_holds_our_package_and_one_alias(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.startswith("openrlhf/")] == [ALIAS]
    roots = {name.partition("/")[0] for name in names}
    assert {root for root in roots if not root.endswith(".dist-info")} == {"r1ci_plugins", "openrlhf"}
    assert "r1ci_plugins/trainers/openrlhf/launcher.py" in names
    recipes = {f"r1ci_plugins/recipes/{file.name}" for file in (ROOT / "recipes").glob("*.yaml")}
    assert recipes <= set(names) and "r1ci_plugins/recipe/new_recipe/reinforce.yaml.txt" in names
    assert not [name for name in names if "__pycache__" in name or name.endswith((".safetensors", ".log"))]


@pytest.mark.stack
def test_no_file_of_the_wheel_is_one_of_openrlhfs(wheel, upstream):
    theirs = {str(file) for file in upstream.files}
    assert "openrlhf/cli/train_ppo_ray.py" in theirs and ALIAS not in theirs
    assert not theirs & set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.stack
def test_python_m_works_beside_openrlhf(beside, tmp_path):
    place = python("-c", "import r1ci_plugins, openrlhf; print(r1ci_plugins.__file__)", cwd=tmp_path, path=[beside])
    assert place.stdout.startswith(str(beside)), place.stderr
    shown = python("-m", "openrlhf.cli.train_ppo", "--help", cwd=tmp_path, path=[beside])
    assert shown.returncode == 0, shown.stderr
    assert "--recipe FILE" in shown.stdout and "--actor.adam.lr" in shown.stdout
    theirs = Path(distribution("openrlhf").locate_file("openrlhf/cli/train_sft.py")).read_bytes()
    assert (beside / "openrlhf" / "cli" / "train_sft.py").read_bytes() == theirs


@pytest.mark.stack
def test_python_m_reaches_our_launcher(beside, tmp_path):
    arguments = ["--plugin", "r1ci", "--recipe", ROOT / "recipes" / "cpu-smoke.yaml", "--dry-run"]
    missing = ["--set", f"model={tmp_path / 'none'}", "--set", f"output_dir={tmp_path / 'out'}"]
    done = python("-m", "openrlhf.cli.train_ppo", *arguments, *missing, cwd=tmp_path, path=[beside])
    assert done.returncode == 2, done.stderr
    assert "# resolved recipe" in done.stdout and "python -m openrlhf.cli.train_ppo_ray" in done.stdout
    assert "is missing" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["--dry-run", "--plugin", "r1ci"], ["--some.flag"]])
def test_without_openrlhf_it_says_how_to_install_it(installed, tmp_path, arguments):
    others = tmp_path / "others"  # what is installed here, but for OpenRLHF
    others.mkdir()
    for entry in Path(distribution("pluggy").locate_file("")).iterdir():
        if not entry.name.startswith(("openrlhf", "r1ci", "_editable")) and entry.suffix != ".pth":
            (others / entry.name).symlink_to(entry)
    done = python("-m", "openrlhf.cli.train_ppo", *arguments, cwd=tmp_path, path=[installed, others], options=["-S"])
    assert done.returncode == 2
    assert "OpenRLHF is not installed" in done.stderr and "pip install 'r1ci-plugins[gpu]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.stack
def test_an_openrlhf_with_a_train_ppo_of_its_own_is_refused(upstream, tmp_path):
    info = tmp_path / "openrlhf-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: openrlhf\nVersion: 9.9\n")
    (info / "RECORD").write_text(f"openrlhf/__init__.py,,\n{ALIAS},,\n")
    done = python("-m", "r1ci_plugins.trainers.openrlhf.train_ppo_alias", "--x", cwd=tmp_path, path=[tmp_path, ROOT])
    assert done.returncode == 2
    assert f"ships its own {ALIAS}" in done.stderr and "fix:" in done.stderr and "Traceback" not in done.stderr
