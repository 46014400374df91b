"""Sizes of a run: what does not go together is refused with sizes that do, and the counts are right."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from r1ci_plugins.errors import MachineProblem, R1CIError, RecipeError
from r1ci_plugins.recipe import openrlhf_flags
from r1ci_plugins.trainers.openrlhf import memory
from r1ci_plugins.trainers.openrlhf.arithmetic import Settings, work
from r1ci_plugins.trainers.openrlhf.machine import Machine, planned_machine, read_machine
from r1ci_plugins.trainers.openrlhf.model_shape import find_model
from r1ci_plugins.trainers.openrlhf.plan import make_plan
from r1ci_plugins.trainers.openrlhf.size_checks import Case, passes, refuse
from r1ci_plugins.trainers.openrlhf.sizes import launched_processes

ROOT = Path(__file__).parents[3]
MODEL = "Qwen/Qwen2.5-7B-Instruct-1M"
EIGHT = Machine(1, 8, 80)
GRPO = {
    "rollout.batch_size": 128,
    "rollout.n_samples_per_prompt": 5,
    "train.batch_size": 640,
    "train.colocate_all": True,
    "algo.advantage.estimator": "group_norm",
    "vllm.num_engines": 8,
    "vllm.gpu_memory_utilization": 0.6,
}
GAE = {**GRPO, "algo.advantage.estimator": "gae"}
APART = {**GRPO, "train.colocate_all": False}
pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(importlib.util.find_spec("openrlhf") is None, reason="needs OpenRLHF: run `make setup`"),
]


def case(changes=(), *, base=GRPO, command="train_ppo", machine=None, model=None, processes=1, cap=None) -> Case:
    flags = {name: flag.default for name, flag in openrlhf_flags.flags(command).items()}
    given = (dict(base) if command == "train_ppo" else {}) | dict(changes)
    assert set(given) <= set(flags)
    return Case(Settings(command, flags | given, processes, cap), model or find_model(MODEL), machine)


def alternatives(error: R1CIError) -> list[dict]:
    """The changes that an error's fix names, read as a person would type them."""
    found = []
    for one in error.fix.split(", or "):
        change = {}
        for flag, value in re.findall(r"(?:--(?!set)|--set trainer\.)([\w.]+)(?:[ =]([\w.]+))?", one):
            change[flag] = {"": True, "false": False}.get(value, int(value) if value.isdigit() else value)
        assert change, one
        found.append(change)
    return found


REFUSED = {
    "a batch that does not divide": ({"train.batch_size": 636}, GRPO, "no multiple of 8"),
    "a micro batch above the batch": (
        {"train.micro_batch_size": 128, "rollout.batch_size": 4, "train.batch_size": 16},
        GRPO,
        "below the micro batch",
    ),
    "a batch above the rollout": ({"train.batch_size": 1280}, GRPO, "would take no step"),
    "what dynamic batches drop": (
        {"train.dynamic_batch_enable": True, "train.batch_size": 512},
        GRPO,
        "drop what is left",
    ),
    "engines for other GPUs": ({"vllm.num_engines": 4}, GRPO, "engines x tensor parallel is 4, the actor has 8"),
    "no engine": ({"vllm.num_engines": None}, GRPO, "no vLLM engine"),
    "a reference of another size": ({"ref.num_gpus_per_node": 4}, GRPO, "actor and ref share their GPUs"),
    "a critic that is too large": ({"critic.num_nodes": 2}, GAE, "the critic of GAE has 16 GPUs"),
    "a critic without GPUs": ({"critic.num_gpus_per_node": 0}, GAE, "--critic.num_gpus_per_node is 0"),
    "critic and reward of unlike sizes": (
        {"train.colocate_critic_reward": True, "critic.num_gpus_per_node": 4},
        GAE,
        "critic and reward share",
    ),
    "a group of one": ({"rollout.n_samples_per_prompt": 1, "train.batch_size": 128}, GRPO, "there is one"),
    "filtering a group of one": (
        {"algo.advantage.estimator": "reinforce", "algo.dynamic_filtering_enable": True}
        | {"rollout.n_samples_per_prompt": 1, "train.batch_size": 128},
        GRPO,
        "dynamic filtering compares",
    ),
    "asynchronous sleep": ({"train.async_enable": True, "vllm.enable_sleep": True}, GRPO, "never lets vLLM sleep"),
    "partial rollouts": ({"train.partial_rollout_enable": True}, GRPO, "need asynchronous training"),
    "generating ahead": ({"rollout.vllm_generate_batch_size": 256}, GRPO, "more prompts than a rollout"),
    "images": ({"data.max_images_per_prompt": 1, "ds.packing_samples": True}, GRPO, "images go neither"),
    "too few sample batches": ({"rollout.micro_batch_size": 128}, GRPO, "5 micro-batches for 8 actor ranks"),
    "ring attention": ({"ds.ring_attn_size": 3}, GRPO, "no multiple of ring attention"),
    "heads": ({"vllm.tensor_parallel_size": 8, "vllm.num_engines": 1}, GRPO, "cannot divide 28 attention heads"),
    "a long context": ({"data.max_len": 2_000_000}, GRPO, "above the context of"),
    "nothing at all": ({"train.micro_batch_size": 0}, GRPO, "it is at least 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_sizes_that_do_not_go_together_are_refused_and_what_is_named_instead_works(name):
    changes, base, expected = REFUSED[name]
    wrong = case(changes, base=base)
    with pytest.raises(RecipeError, match=re.escape(expected)) as caught:
        refuse(wrong)
    assert caught.value.where and "--" in caught.value.where
    for change in alternatives(caught.value):
        refuse(wrong.changed(change))


def test_lists_that_mean_nothing_are_refused():
    changes = {"algo.dynamic_filtering_enable": True, "algo.dynamic_filtering_range": [1, 0]}
    with pytest.raises(RecipeError, match="keeps nothing"):
        refuse(case(changes))
    with pytest.raises(RecipeError, match="one number or two"):
        refuse(case({"algo.advantage.is_correction_threshold": [1, 2, 3]}))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train.batch_size": 30, "train.micro_batch_size": 2}, "no multiple of 16"),
        ({"ds.ring_attn_size": 2, "train.micro_batch_size": 2}, "needs packed samples"),
        ({"ds.tensor_parallel_size": 3, "train.micro_batch_size": 2}, "no multiple of ring attention"),
    ],
)
def test_sft_is_checked_too(changes, expected):
    wrong = case(changes, command="train_sft", processes=8)
    with pytest.raises(RecipeError, match=expected) as caught:
        refuse(wrong)
    for change in alternatives(caught.value):
        refuse(wrong.changed(change))
    with pytest.raises(MachineProblem, match="16 processes need a GPU each, and there are 8 GPUs of 80 GB"):
        refuse(case(command="train_sft", processes=16, machine=EIGHT))


@pytest.mark.parametrize("base", [GRPO, APART, GAE], ids=["together", "apart", "gae"])
@pytest.mark.parametrize("machine", [Machine(1, 4, 80), Machine(1, 2, 24), EIGHT], ids=str)
def test_roles_that_need_more_gpus_than_there_are(base, machine):
    one = case(base=base, machine=machine)
    if one.settings.total_gpus <= machine.gpus:
        return refuse(one)
    with pytest.raises(MachineProblem, match=f"the roles need {one.settings.total_gpus} GPUs") as caught:
        refuse(one)
    for change in alternatives(caught.value):
        refuse(one.changed(change))


SIZES = st.integers(1, 48)


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    batch=SIZES, micro=SIZES, rollout=SIZES, samples=st.integers(2, 6), gpus=st.integers(1, 12), dynamic=st.booleans()
)
def test_following_the_first_remedy_ends_at_sizes_that_divide(batch, micro, rollout, samples, gpus, dynamic):
    sizes = {"train.batch_size": batch, "train.micro_batch_size": micro, "rollout.batch_size": rollout}
    sizes |= {"rollout.n_samples_per_prompt": samples, "train.dynamic_batch_enable": dynamic}
    sizes |= {"actor.num_gpus_per_node": gpus, "ref.num_gpus_per_node": gpus, "vllm.num_engines": gpus}
    one = case(sizes)
    for _ in range(4):
        try:
            refuse(one)
            break
        except RecipeError as error:
            one = one.changed(alternatives(error)[0])
    assert passes(one)
    settings = one.settings
    assert settings["train.batch_size"] % (settings["train.micro_batch_size"] * gpus) == 0
    assert settings["train.batch_size"] <= settings.samples
    assert not dynamic or settings.samples % settings["train.batch_size"] == 0


def test_prompts_that_do_not_divide_are_no_fault():
    counted = work(case().settings, 130)
    assert (counted.rollouts, counted.steps, counted.samples) == (2, 2, 650)
    assert counted.tokens == 650 * 2048
    assert work(case({"train.batch_size": 320, "train.num_episodes": 3}).settings, 256).steps == 12
    assert work(case(cap=1000).settings, 1).tokens == 5 * 1000
    sft = case({"train.max_epochs": 3}, command="train_sft")
    assert work(sft.settings, 130).steps == 6


def test_gpus_are_counted_as_upstream_places_them():
    assert case().settings.total_gpus == 8
    assert case(base=APART).settings.total_gpus == 24
    assert case({"algo.kl.init_coef": 0}, base=APART).settings.total_gpus == 16
    assert case({"train.colocate_actor_ref": True}, base=APART).settings.total_gpus == 16
    assert case({"train.async_enable": True}).settings.total_gpus == 16
    assert case(base=GAE).settings.groups() == [(("actor", "ref", "critic", "vllm"), 8)]
    assert case({"train.colocate_critic_reward": True}, base=GAE).settings.total_gpus == 16


# -- the model and the machine ----------------------------------------------------------------------------------------


def test_parameters_agree_with_the_published_totals():
    import yaml

    published = yaml.safe_load((ROOT / "r1ci_plugins/trainers/openrlhf/model_shapes.yaml").read_text())
    totals = {name: entry["parameters"] for entry in published for name in entry["contexts"]}
    assert totals["Qwen/Qwen2.5-7B-Instruct-1M"] == 7_615_616_512  # as its model page has it, 7.61B
    assert totals["meta-llama/Llama-3.1-8B"] == 8_030_261_248
    for name, total in totals.items():
        assert find_model(name).shape.parameters == total, name


CONFIG = {
    "model_type": "llama",
    "vocab_size": 100,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 4096,
}


@pytest.mark.parametrize(
    ("changes", "context", "note"),
    [
        ({}, 4096, None),
        ({"max_position_embeddings": None}, None, "max_position_embeddings is missing"),
        ({"max_position_embeddings": -1}, None, "max_position_embeddings is -1"),
        ({"max_position_embeddings": "many"}, None, "max_position_embeddings is 'many'"),
        ({"max_position_embeddings": 10**30}, None, "max_position_embeddings is 1000"),
        ({"rope_scaling": {"type": "linear", "factor": 4}}, 16384, None),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8}}, 4096, None),
        (
            {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 2048}},
            8192,
            None,
        ),
        ({"rope_scaling": {"type": "yarn", "factor": "huge"}}, None, "factor 'huge'"),
        ({"rope_scaling": {"type": "linear", "factor": 0.001}}, None, "factor 0.001"),
        ({"rope_scaling": "long"}, None, "rope scaling is 'long'"),
        ({"model_type": "mamba"}, 4096, "model_type 'mamba'"),
        ({"hidden_size": 0}, 4096, "no usable size of hidden"),
    ],
)
def test_what_a_config_has_wrong_is_said_and_not_believed(tmp_path, changes, context, note):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | changes))
    model = find_model(str(tmp_path))
    assert model.context == context
    assert (note is None and not model.notes) or any(note in one for one in model.notes)
    if context:
        with pytest.raises(RecipeError, match=f"above the context of .*, {context} tokens"):
            refuse(case({"data.max_len": context + 1}, model=model))
    refuse(case({"data.max_len": context or 10**6}, model=model))


def test_a_broken_config_and_an_unknown_name(tmp_path):
    (tmp_path / "config.json").write_text("{")
    assert "cannot be read" in find_model(str(tmp_path)).notes[0]
    unknown = find_model("somebody/something")
    assert unknown.shape is None
    assert memory.describe(case(model=unknown))[0].startswith("memory: not estimated: somebody/something")


def test_machines():
    assert read_machine("8x80") == EIGHT
    assert read_machine("2X8x141") == Machine(2, 8, 141)
    assert planned_machine(None, dry_run=False) is None
    for text in (
        "",
        "8",
        "x80",
        "8x",
        "0x80",
        "8x0",
        "-8x80",
        "8x80x",
        "1x2x3x4",
        "8 x 80",
        "8x80GB",
        "8.5x80",
        "²x80",
    ):
        with pytest.raises(RecipeError, match="is no machine") as caught:
            read_machine(text)
        assert "--for 8x80" in caught.value.fix
    with pytest.raises(RecipeError, match="starts nothing"):
        planned_machine("8x80", dry_run=False)


@pytest.mark.parametrize(
    ("launcher", "processes"),
    [
        ("", 1),
        ("torchrun --nproc_per_node 8", 8),
        ("torchrun --nnodes=2 --nproc-per-node=4 --master_port 1", 8),
        ("deepspeed --num_gpus 4", 4),
        ("accelerate launch", 1),
    ],
)
def test_processes_of_a_launcher(launcher, processes):
    assert launched_processes(launcher) == processes


# -- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["llama", "qwen2"])
@pytest.mark.parametrize(("hidden", "layers", "vocab"), [(128, 4, 2000), (320, 6, 8000)], ids=["1M", "10M"])
def test_the_formula_agrees_with_what_torch_allocates(tmp_path, dtype, kind, hidden, layers, vocab):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"hidden_size": hidden, "intermediate_size": 3 * hidden, "num_hidden_layers": layers, "vocab_size": vocab}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": kind == "llama"}
    config = AutoConfig.for_model(kind, **sizes, **heads, max_position_embeddings=256)
    config.save_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_config(config).to(getattr(torch, dtype))
    model(torch.zeros(1, 8, dtype=torch.long)).logits.float().sum().backward()
    weights = list(model.parameters())
    # With bf16 weights DeepSpeed keeps an fp32 copy, which the optimizer moves.
    masters = weights if dtype == "float32" else [torch.nn.Parameter(one.detach().float()) for one in weights]
    for master, one in zip(masters, weights, strict=True):
        master.grad = one.grad.to(master.dtype)
    optimizer = torch.optim.AdamW(masters)
    optimizer.step()
    moments = [value for state in optimizer.state.values() for value in state.values()]

    def size(tensors):
        return sum(one.numel() * one.element_size() for one in tensors)

    shape = find_model(str(tmp_path)).shape
    states = memory.model_states(shape.parameters, stage=0, ranks=1, weight_bytes=weights[0].element_size())
    assert shape.parameters == sum(one.numel() for one in weights)
    assert states.weights == pytest.approx(size(weights), rel=0.02)
    assert states.gradients == pytest.approx(size([one.grad for one in weights]), rel=0.02)
    held = size(moments) + (size(masters) if dtype == "bfloat16" else 0)
    assert states.optimizer == pytest.approx(held, rel=0.02)


def test_zero_divides_what_it_says():
    totals = [memory.model_states(10**9, stage=stage, ranks=8).total for stage in range(4)]
    assert totals == [16 * 10**9, 5_500_000_000, 3_750_000_000, 2_000_000_000]
    assert memory.model_states(10**9, stage=3, ranks=8, offloaded=True).total == 500_000_000


@pytest.mark.parametrize("gib", [80, 48, 40])
def test_what_does_not_fit_is_warned_of_with_a_change_that_fits(gib):
    one = case({"train.micro_batch_size": 4, "data.max_len": 8192}, machine=Machine(1, 8, gib))
    assert not memory.fits(one)
    change = memory.mending(one)
    assert change and memory.fits(one.changed(change)) and passes(one.changed(change))
    shown = "\n".join(memory.describe(one))
    assert f"on 8 GPUs of {gib} GB" in shown and one.text(change) in shown


def test_what_cannot_fit_says_so():
    one = case(machine=Machine(1, 8, 8))
    assert not memory.mending(one) and "take more or larger GPUs" in memory.describe(one)[-1]


# -- the recipes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "recipe", "machine"),
    [
        ("train_ppo", "qwen2.5-7b-grpo.yaml", EIGHT),
        ("train_ppo", "qwen2.5-14b-grpo.yaml", Machine(2, 8, 80)),
        ("train_sft", "qwen2.5-7b-sft.yaml", EIGHT),
    ],
)
def test_the_gpu_recipes_fit_the_machines_that_they_name(command, recipe, machine, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no sandbox, no launcher: nothing of this machine is needed
    plan = make_plan(command, ["r1ci"], str(ROOT / "recipes" / recipe), [f"output_dir={tmp_path}"], [], machine)
    assert not plan.prepared.cpu and plan.sizes.settings.total_gpus == machine.gpus
    shown = plan.describe()
    assert "warning" not in shown and f"# machine: {machine}" in shown
    for part in ("ranks", "optimizer step", "memory per GPU", "assumed: ZeRO stage 3", "optimizer states"):
        assert part in shown
    if command == "train_ppo":
        assert "run: 10700 prompts x 3 episodes, 252 rollouts, 252 optimizer steps, 160500 trajectories" in shown
        assert "KV cache" in shown


def test_the_staged_recipe_fits_its_machine():
    from typer.testing import CliRunner

    from r1ci_plugins.cli.main import app

    run = ["run", str(ROOT / "recipes" / "qwen2.5-3b.yaml")]
    shown = CliRunner().invoke(app, [*run, "--dry-run", "--for", "8x80"])
    assert shown.exit_code == 0, shown.output
    assert shown.output.count("an estimate for 3.09 billion parameters") == 2 and "warning" not in shown.output
    alone = CliRunner().invoke(app, [*run, "--for", "8x80"])
    assert isinstance(alone.exception, RecipeError) and "add --dry-run" in str(alone.exception)
    small = CliRunner().invoke(app, [*run, "--dry-run", "--for", "4x80"])
    assert isinstance(small.exception, MachineProblem) and "stage sft" in str(small.exception)
    batch = "stages.rl.trainer.train.batch_size=641"
    wrong = CliRunner().invoke(app, [*run, "--dry-run", "--for", "8x80", "--set", batch])
    assert "--set stages.rl.trainer.train.batch_size=640" in str(wrong.exception)


def test_planning_for_another_machine_imports_nothing_heavy(tmp_path):
    import subprocess
    import sys

    script = shutil.which("openrlhf.cli.train_ppo", path=str(Path(sys.executable).parent))
    recipe = ["--plugin", "r1ci", "--recipe", str(ROOT / "recipes" / "qwen2.5-7b-grpo.yaml")]
    command = [sys.executable, "-X", "importtime", script, *recipe, "--dry-run", "--for", "8x80"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert not imported & {"torch", "ray", "vllm", "transformers", "deepspeed", "openrlhf"}
    assert not list(tmp_path.iterdir())
