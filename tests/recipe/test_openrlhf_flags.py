from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys

import pytest

from r1ci_plugins.errors import MachineProblem, RecipeError
from r1ci_plugins.recipe import openrlhf_flags
from r1ci_plugins.recipe.openrlhf_flags import MODULES, check, flags, to_argv

FLASH_ATTN = {
    "flash_attn.bert_padding": "index_first_axis = pad_input = rearrange = unpad_input",
    "flash_attn.utils.distributed": "all_gather",
}


def test_to_argv():
    given = {"lr": "1e-6", "eps": 1e-8, "bare": True, "gone": False, "none": None, "range": [-1, 2.5], "low": -0.001}
    assert to_argv(given) == ["--lr", "1e-6", "--eps", "1e-08", "--bare", "--range", "-1", "2.5", "--low=-0.001"]


@pytest.mark.stack
@pytest.mark.parametrize("command", MODULES)
def test_the_flags_are_those_of_the_real_command(command, tmp_path):
    """Fails when upstream's parser is no longer built where we look for it."""
    if importlib.util.find_spec("flash_attn") is None:  # imported by upstream, not used by --help
        for module, names in FLASH_ATTN.items():
            file = tmp_path.joinpath(*module.split(".")).with_suffix(".py")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{names} = None\n")
    shown = subprocess.run(
        [sys.executable, "-m", f"openrlhf.cli.{MODULES[command]}", "--help"],
        env={**os.environ, "DS_ACCELERATOR": "cpu", "COLUMNS": "10000", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    listed = dict(re.findall(r"^  --([\w.]+)(?: (\S.*?))?(?:  .*)?$", shown, re.MULTILINE))
    assert {name: bool(values) for name, values in listed.items()} == {
        name: flag.takes != 0 for name, flag in flags(command).items()
    }


@pytest.mark.stack
def test_flags_know_loops_defaults_choices_and_counts():
    known = flags("train_ppo")
    assert known["actor.adam.lr"].default == 1e-6 and known["critic.adam.lr"].default == 9e-6
    assert known["train.colocate_all"].takes == 0 and known["actor.adam.betas"].takes == 2
    assert known["algo.advantage.is_correction_threshold"].takes == "many"
    assert "group_norm" in known["algo.advantage.estimator"].choices


@pytest.mark.stack
def test_check_accepts_what_upstream_takes():
    given = {"actor.adam.lr": "5e-7", "train.colocate_all": True, "actor.adam.betas": [0.9, 0.95], "train.seed": 7}
    check(given | {"vllm.enforce_eager": False, "logger.wandb.key": None}, "train_ppo")


@pytest.mark.stack
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("actor.adm.lr", 1, "did you mean 'actor.adam.lr'?"),
        ("actor.adam.lr", "small", "takes float, not 'small'"),
        ("actor.adam.lr", True, "takes 1 value"),
        ("actor.adam.lr", [1, 2], "takes 1 value"),
        ("actor.adam.betas", [0.9], "takes 2 value"),
        ("train.seed", 1.5, "takes int, not 1.5"),
        ("train.colocate_all", "yes", "takes no value"),
        ("algo.advantage.estimator", "grpo", "cannot be 'grpo'"),
    ],
)
def test_check_names_what_upstream_would_refuse(name, value, expected):
    with pytest.raises(RecipeError) as caught:
        check({name: value}, "train_ppo")
    assert expected in str(caught.value) and f"trainer.{name}" in str(caught.value)


def test_without_openrlhf_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(openrlhf_flags.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MachineProblem, match="pip install"):
        openrlhf_flags.find_cli("train_ppo")


def test_a_parser_that_upstream_moved_is_reported(monkeypatch, tmp_path):
    (tmp_path / "moved.py").write_text("def main():\n    pass\n")
    monkeypatch.setattr(openrlhf_flags, "find_cli", lambda command: tmp_path / "moved.py")
    with pytest.raises(MachineProblem, match="cannot be read"):
        openrlhf_flags.parser("train_ppo")


@pytest.mark.stack
@pytest.mark.parametrize(
    ("arguments", "what", "fix"),
    [
        (["--algo.advantage.estimator", "grpo"], "cannot be 'grpo'", "group_norm"),
        (["--algo.advantage.estimator=ppo"], "cannot be 'ppo'", "gae"),
        (["--algo.advantage.estimator", "rlo"], "cannot be 'rlo'", "did you mean 'rloo'"),
        (["--actor.adam.lr", "fast"], "invalid float value: 'fast'", "--help"),
        (["--actor.adam.lr"], "expected one argument", "--help"),
        (["--ds.packing_samples=yes"], "ignored explicit argument", ""),
        (["--actr.adam.lr", "1"], "unknown argument '--actr.adam.lr'", "did you mean 'actor.adam.lr'"),
    ],
)
def test_a_wrong_flag_is_a_message_and_never_argparses_usage(arguments, what, fix, capsys):
    with pytest.raises(RecipeError) as caught:
        openrlhf_flags.read(arguments, "train_ppo")
    assert what in caught.value.what and fix in (caught.value.fix or "")
    assert capsys.readouterr() == ("", "")


@pytest.mark.stack
def test_an_algorithms_own_name_leads_to_openrlhfs():
    with pytest.raises(RecipeError, match="grpo is group_norm here"):
        openrlhf_flags.check({"algo.advantage.estimator": "grpo"}, "train_ppo")
