from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from r1ci_plugins.cli.plugins import plugins

app = typer.Typer()
app.command()(plugins)


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution on ``sys.path`` whose plugin does not import."""
    info = tmp_path / "acme-4.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rewards\nVersion: 4.5\n")
    (info / "entry_points.txt").write_text("[r1ci.plugins]\nacme = no_such_module_anywhere\n")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_it_lists_what_is_installed(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    result = CliRunner().invoke(app)
    assert result.exit_code == 0, result.output
    assert "r1ci-plugins" in result.stdout and "answer format natural" in result.stdout


def test_a_broken_one_is_listed_with_its_cause_and_the_exit_status_tells(broken, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    result = CliRunner().invoke(app)
    assert result.exit_code == 1
    assert "broken" in result.stdout and "acme-rewards" in result.stdout
    assert "No module named 'no_such_module_anywhere'" in result.output and "acme-rewards 4.5" in result.output
