from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from r1ci_plugins.cli import doctor
from r1ci_plugins.errors import SandboxUnavailable
from r1ci_plugins.recipe.loading import load_recipe

app = typer.Typer()
app.command()(doctor.doctor)


def _model(folder: Path, *leave_out: str, template: str = "{{ messages }}") -> str:
    files = {
        "config.json": "{}",
        "model.safetensors": "",
        "tokenizer_config.json": json.dumps({"chat_template": template}),
    }
    for name in files.keys() - set(leave_out):
        (folder / name).write_text(files[name])
    return str(folder)


def test_a_check_that_crashes_is_a_failed_line():
    finding = doctor.run(lambda: 1 / 0)
    assert finding.status == "failed" and "ZeroDivisionError" in finding.detail


def test_an_error_of_ours_keeps_its_fix():
    def check():
        raise SandboxUnavailable("firejail is missing", fix="apt install firejail")

    assert doctor.run(check) == doctor.Finding("failed", "firejail is missing", "apt install firejail")


def test_a_complete_model_folder(tmp_path):
    assert doctor.model(_model(tmp_path)).status == "ok"


@pytest.mark.parametrize(
    ("leave_out", "expected"),
    [
        ("config.json", "no config.json"),
        ("model.safetensors", "no weights"),
        ("tokenizer_config.json", "no chat template"),
    ],
)
def test_an_incomplete_model_folder(tmp_path, leave_out, expected):
    finding = doctor.model(_model(tmp_path, leave_out))
    assert finding.status == "failed" and expected in finding.detail


def test_a_chat_template_in_a_file_of_its_own(tmp_path):
    folder = _model(tmp_path, template="")
    assert doctor.model(folder).status == "failed"
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    assert doctor.model(folder).status == "ok"


def test_a_model_that_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert doctor.model(str(tmp_path / "missing")).status == "failed"
    assert doctor.model("Qwen/Qwen2.5-3B-Instruct").status == "warning"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert doctor.model("Qwen/Qwen2.5-3B-Instruct").status == "failed"


def test_disk(tmp_path):
    assert "GiB free" in doctor.disk(tmp_path / "runs" / "new").detail
    (tmp_path / "file").touch()
    assert doctor.disk(tmp_path / "file").status == "failed"


def test_another_version_of_openrlhf_is_refused(monkeypatch):
    for found, status in [(None, "failed"), ("0.11.3", "failed"), ("0.11.2", "ok")]:
        monkeypatch.setattr(doctor, "_version", lambda name, found=found: found)
        assert doctor.openrlhf().status == status


def test_a_recipe_that_cannot_be_read_is_a_failed_line_and_the_rest_is_still_checked(tmp_path):
    (tmp_path / "recipe.yaml").write_text("sed: 1\n")
    result = CliRunner().invoke(app, ["--recipe", str(tmp_path / "recipe.yaml")])
    assert result.exit_code == 1
    assert "there is no such key" in result.stdout and "Python" in result.stdout and "/dev/shm" in result.stdout


def nothing_installed(monkeypatch):
    """A machine with this package alone."""

    def missing(name):
        raise PackageNotFoundError(name)

    for name in ("version", "requires", "metadata"):
        monkeypatch.setattr(doctor, name, missing)
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)


@pytest.mark.parametrize(
    "check", [doctor.python, doctor.openrlhf, doctor.requirements, doctor.torch, doctor.flash_attn]
)
def test_nothing_installed_is_said_and_never_a_fault_of_the_check(check, monkeypatch):
    nothing_installed(monkeypatch)
    finding = doctor.run(check)
    assert "check itself failed" not in finding.detail and "installed" in finding.detail
    assert finding.status == "ok" or "pip install" in finding.fix


@pytest.mark.parametrize(
    ("flag", "package"),
    [
        ("ds.packing_samples=true", "flash-attn"),
        ("ds.attn_implementation=flash_attention_2", "flash-attn"),
        ("ds.load_in_4bit=true", "bitsandbytes"),
        ("ds.lora.rank=16", "peft"),
        ("ds.use_liger_kernel=true", "liger-kernel"),
    ],
)
def test_what_a_recipe_asks_for_and_is_missing(flag, package, monkeypatch):
    nothing_installed(monkeypatch)
    for cpu, status in (("0", "failed"), ("1", "warning" if package == "flash-attn" else "failed")):
        monkeypatch.setenv("R1CI_CPU_BACKEND", cpu)
        recipe = load_recipe("r1ci:cpu-smoke", [f"trainer.{flag}", "tasks={}"])
        finding = doctor.run(lambda recipe=recipe: doctor.recipe_packages(recipe, ["r1ci"], "train_ppo"))
        assert finding.status == status and package in finding.detail and package in finding.fix
    recipe = load_recipe("r1ci:cpu-smoke", ["trainer.ds.lora.rank=0", "tasks={}"])
    assert doctor.recipe_packages(recipe, ["r1ci"], "train_ppo").status == "ok"


def test_a_staged_recipe_is_checked_stage_by_stage(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    checks = list(doctor._checks(Path("r1ci:qwen2.5-3b"), ["r1ci"]))
    names = [name for name, _ in checks]
    assert [f"recipe {stage}" in names for stage in ("synthesis", "sft", "rl")] == [True] * 3
    assert [names.count(name) for name in ("model", "sandbox", "teacher", "disk")] == [1, 1, 1, 1]
    assert "OPENAI_API_KEY is not set" in doctor.run(dict(checks)["teacher"]).detail


@pytest.mark.stack
def test_the_stack_is_recognised():
    assert doctor.openrlhf().status == "ok"
    assert doctor.requirements().status in ("ok", "warning")
    assert "built for" in doctor.torch().detail


@pytest.mark.firejail
def test_the_sandbox_runs_its_canary_and_a_program():
    from r1ci_plugins.recipe.schema import SandboxConfig

    finding = doctor.run(lambda: doctor.sandbox(SandboxConfig(), ["r1ci"]))
    assert finding.status == "ok" and "firejail" in finding.detail
