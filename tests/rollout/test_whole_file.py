from __future__ import annotations

import os

import pytest

from r1ci_plugins.rollout.whole_file import write_whole


def test_a_file_is_written_with_its_folder_and_may_be_replaced(tmp_path):
    path = tmp_path / "new" / "file.bin"
    for content, durable in ((b"one\0", False), (b"two", True)):
        write_whole(path, content, survive_power_loss=durable)
        assert path.read_bytes() == content and list(path.parent.iterdir()) == [path]


def test_others_may_read_it_as_they_may_read_any_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_whole(tmp_path / "whole", b"")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, call):
    path = tmp_path / "file"
    write_whole(path, b"old")

    def fail(*arguments):
        raise OSError("No space left")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new", survive_power_loss=True)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
