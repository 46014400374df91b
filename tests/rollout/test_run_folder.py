from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.rollout.run_folder import VARIABLE, RunFolder, append_line, read_lines

VALUES = st.dictionaries(st.text(max_size=5), st.integers() | st.text(st.characters(), max_size=10), max_size=3)


def test_a_process_finds_its_run_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert RunFolder.of_this_process() == RunFolder(tmp_path)
    for value in ("", None):
        monkeypatch.setenv(VARIABLE, "") if value == "" else monkeypatch.delenv(VARIABLE)
        with pytest.raises(MachineProblem, match="does not belong to an r1ci run") as caught:
            RunFolder.of_this_process()
        assert VARIABLE in str(caught.value) and "--plugin r1ci" in str(caught.value)


def test_nothing_of_a_run_lies_outside_its_folder_and_no_two_things_in_one_place(tmp_path):
    folder = RunFolder(tmp_path)
    paths = [folder.recipe, folder.run, folder.metrics, folder.evaluations, folder.tensorboard, folder.checkpoints]
    paths += [folder.model, *(of(name) for of in (folder.prompts, folder.trajectories) for name in ("train", "eval"))]
    assert len(set(paths)) == len(paths) and all(path.is_relative_to(tmp_path) for path in paths)


def test_run_json_is_read_or_named_in_the_error(tmp_path):
    folder = RunFolder(tmp_path)
    with pytest.raises(MachineProblem) as caught:
        folder.read_run()
    assert str(folder.run) in str(caught.value)
    folder.run.write_text('{"seed": 7')
    with pytest.raises(MachineProblem, match="cannot be read"):
        folder.read_run()
    folder.run.write_text('{"seed": 7}')
    assert folder.read_run() == {"seed": 7}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(VALUES, max_size=5))
def test_lines_come_back_as_they_were_written(tmp_path, values):
    path = tmp_path / "lines.jsonl"
    path.unlink(missing_ok=True)
    assert list(read_lines(path)) == []
    for value in values:
        append_line(path, value)
    assert list(read_lines(path)) == values


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(1, 200))
def test_a_line_cut_short_costs_that_line_alone(tmp_path, caplog, cut):
    path = tmp_path / "lines.jsonl"
    lines = [json.dumps({"step": step, "text": "ü" * 9}) for step in range(3)]
    whole = "\n".join(lines).encode()
    path.write_bytes(whole[:cut])
    kept = [json.loads(line) for line in lines if line.encode() in whole[:cut].split(b"\n")]
    append_line(path, {"step": 9})  # a resumed run goes on in the same file
    caplog.clear()
    assert list(read_lines(path)) == [*kept, {"step": 9}]
    torn = bool(whole[:cut].split(b"\n")[-1]) and len(kept) < whole[:cut].count(b"\n") + 1
    assert (f"line {len(kept) + 1}" in caplog.text) == torn


def test_a_full_disk_is_an_os_error_and_leaves_no_half_line(tmp_path):
    full = tmp_path / "full.jsonl"
    full.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        append_line(full, {"step": 1})
    with pytest.raises(OSError, match="No such file"):
        append_line(tmp_path / "gone" / "x.jsonl", {"step": 1})
