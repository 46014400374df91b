"""How many cores count, by control groups as containers show them."""

import os

import pytest

from r1ci_plugins.sandbox.cores import usable_cores


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("", {}, 4),
        ("0::/\n", {"cpu.max": "max 100000"}, 4),
        ("0::/\n", {"cpu.max": "250000 100000"}, 2),
        ("0::/\n", {"cpu.max": "50000 100000"}, 1),  # half a core
        ("0::/pod/me\n", {"pod/cpu.max": "300000 100000", "pod/me/cpu.max": "max 100000"}, 3),  # a parent's
        ("0::/of/the/host\n", {"cpu.max": "200000 100000"}, 2),  # the path is not visible from inside
        (
            "3:cpuset:/\n2:cpu,cpuacct:/me\n",
            {"cpu/me/cpu.cfs_quota_us": "200000", "cpu/me/cpu.cfs_period_us": "100000"},
            2,
        ),
        ("2:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 4),
        ("0::/\n", {"cpu.max": "nonsense"}, 4),
    ],
)
def test_a_quota_below_the_affinity_counts(monkeypatch, tmp_path, groups, files, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(4)))
    for name, text in {"proc/self/cgroup": groups, **{f"sys/fs/cgroup/{k}": v for k, v in files.items()}}.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert usable_cores(tmp_path) == cores
