from __future__ import annotations

import json
from dataclasses import asdict

import psutil
import pytest

from r1ci_plugins.errors import PluginError
from r1ci_plugins.pack_checks import validation
from r1ci_plugins.pack_checks.validation import chosen, validate
from r1ci_plugins.plugins.packs import load_pack


def workers():
    """Worker processes of validations by this process."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if any(validation.__name__ in part for part in child.cmdline())]


def reports(pack, *tasks, jobs=2):
    return {report.task: report for report in validate(str(pack), tasks, jobs)}


def test_every_task_gets_a_report_whatever_the_others_do(odd_pack, monkeypatch):
    monkeypatch.setattr(validation, "_SILENCE_S", 3.0)
    tasks = ["doubling", "unordered", "ambient", "dies", "hangs", "fails", "empty", "solves"]
    found = reports(odd_pack, *tasks)
    rules = {task: {failure.rule for failure in report.failures} for task, report in found.items()}
    assert rules == {
        "doubling": set(),
        "unordered": {"same in every process"},
        "ambient": {"same in every process"},
        "dies": {"answers in time"},
        "hangs": {"answers in time"},
        "fails": {"generates"},
        "empty": set(),
        "solves": {"solver agrees"},
    }
    assert found["doubling"].passed and not found["empty"].passed
    assert found["empty"].missing.startswith("the questions are not here")
    said = {task: str(found[task].failures[0]) for task in ("dies", "hangs", "fails", "solves", "unordered")}
    assert "died while odd text scores 0: checking 'nan' for odd/dies/rl/0/0" in said["dies"]
    assert "was silent for 3 s" in said["hangs"] and "'<b>" in said["hangs"]
    assert "no question today" in said["fails"] and "no such method" in said["solves"]
    assert "odd/unordered" in said["unordered"] and "sort what comes out of a set" in said["unordered"]
    assert not workers()


def test_reports_come_one_by_one_and_breaking_off_leaves_no_process(odd_pack):
    coming = validate(str(odd_pack), ["doubling", "solves"], 1)
    assert next(coming).task in ("doubling", "solves")
    assert workers()
    coming.close()
    assert not workers()


def test_a_pack_that_does_not_load_in_a_worker_is_a_readable_error(tmp_path):
    (tmp_path / "nothing.py").write_text("raise RuntimeError('no such luck')")
    with pytest.raises(PluginError, match="no such luck"):
        reports(tmp_path / "nothing.py", "a")


def test_chosen_tasks_keep_the_packs_order_and_unknown_ones_are_refused(odd_pack):
    pack = load_pack(str(odd_pack))
    assert chosen(pack)[:3] == ["doubling", "unordered", "ambient"] and len(chosen(pack)) == 8
    assert chosen(pack, ["hangs", "dies"]) == ["dies", "hangs"]
    with pytest.raises(PluginError, match="did you mean 'doubling'"):
        chosen(pack, ["dubling"])


def test_a_report_is_json(odd_pack):
    report = reports(odd_pack, "solves", jobs=1)["solves"]
    assert json.loads(json.dumps(asdict(report)))["failures"][0]["rule"] == "solver agrees"
