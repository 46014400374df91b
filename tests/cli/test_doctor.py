from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from r1ci_plugins.cli import doctor
from r1ci_plugins.errors import SandboxUnavailable

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
