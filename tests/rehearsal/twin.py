"""Twins of GPU recipes for two CPU cores: the same flags and protocol with small sizes, by one rule for all."""

import re
from pathlib import Path

import yaml

from r1ci_plugins.recipe import cpu_flags
from r1ci_plugins.recipe.loading import load_recipe, read_recipe
from r1ci_plugins.runs.stages import load_stages

RANKS, BATCH, CONTEXT = 2, 3, 800
SIZES = {
    "actor.num_nodes": 1,
    "actor.num_gpus_per_node": RANKS,
    "ref.num_nodes": 1,
    "ref.num_gpus_per_node": RANKS,
    "critic.num_nodes": 1,
    "critic.num_gpus_per_node": RANKS,
    "vllm.num_engines": RANKS,
    "vllm.tensor_parallel_size": 1,
    "vllm.gpu_memory_utilization": 0.1,
    "data.max_len": CONTEXT,
    "rollout.batch_size": BATCH,
    "train.num_episodes": 2,
    "eval.steps": 4,
    "ckpt.save_steps": 1,
    # So that a few steps move weights in bfloat16.
    "actor.adam.lr": 1e-3,
    "critic.adam.lr": 1e-3,
    "adam.lr": 1e-3,
}
"""What these flags become where a recipe sets them. Nothing divides: 5 prompts in batches of 3."""
TASKS = {
    "train": [{"tasks": ["reasoning_gym/gcd"], "count": 3}, {"tasks": ["bbh/boolean_expressions"], "count": 2}],
    "eval": [{"tasks": ["reasoning_gym/spell_backward"], "count": 3}],
}
"""Short questions of two packs."""


def twin(recipe_file, *, model, output_dir, trajectories, rate=0.01):
    """The twin of a recipe.

    Args:
        recipe_file: A recipe for GPUs, staged or not.
        model: Folder of a tiny model.
        output_dir: Folder of the twin's run.
        trajectories: A file of trajectories, for SFT that no synthesis precedes.
        rate: Share of the programs, answers and rewards that fail.

    Returns:
        The command that runs it, ``train_ppo``, ``train_sft`` or ``run`` (stages), and its text, YAML. The header says
        what differs.
    """
    place = [f"model={model}", f"output_dir={output_dir}"]
    notes = []
    if "stages" in read_recipe(recipe_file)[0]:
        command, stages = "run", []
        for stage in load_stages(recipe_file, place):
            small = _small(stage.recipe, stage.command, rate, notes, f"{stage.name}: ")
            small["launcher"] = re.sub(r"(--nproc_per_node) \d+", rf"\1 {RANKS}", stage.launcher)
            stages.append({"name": stage.name, "run": stage.command, **small})
        content = {"output_dir": str(output_dir), "model": str(model), "seed": 7, "stages": stages}
    else:
        recipe = load_recipe(recipe_file, place)
        command = "train_sft" if recipe.sft else "train_ppo"
        content = {"output_dir": str(output_dir), "model": str(model), "seed": 7}
        content |= _small(recipe, command, rate, notes)
        if recipe.sft:
            content["sft"]["trajectories"] = str(trajectories)
    title = f"The twin of {Path(recipe_file).name}: the same for two CPU cores and a tiny model."
    header = "".join(f"# {line}\n" for line in [title, *dict.fromkeys(notes)])
    return command, header + yaml.safe_dump(content, sort_keys=False)


def _small(recipe, command, rate, notes, where=""):
    """A recipe's sections, without those that say where it works and with which model."""
    given = recipe.model_dump(exclude_unset=True, exclude={"output_dir", "model", "seed", "trainer"})
    small = {**given, "trainer": _flags(recipe.flags(), command, notes, where)}
    if command == "train_sft":
        return small
    small["tasks"] = TASKS
    if "curriculum" in given:  # a random model is never right, so its profile has no potential
        small["curriculum"] = {"order": "online", "groups": 2, "steps": 1, "profile": {"samples": 2}}
        notes.append(f"{where}smaller: curriculum, by the rollouts' own outcomes")
    if command == "synthesize":  # no endpoint is there: the tasks' reference programs are the teacher
        return small | {"synthesis": {"per_task": 4}}
    protocol = {**given.get("protocol", {}), "answer_format": "babble", "max_turn_tokens": 32}
    sandbox = {"options": {"inside": recipe.sandbox.backend, "rate": rate}, "backend": "faulty", "concurrency": 2}
    verifier = {"name": "faulty", "options": {"rate": rate}, "workers": 1}
    rewards = {**recipe.rewards, "checksum": {}, "faulty": {"rate": rate}}
    sandbox = {**given.get("sandbox", {}), **sandbox}
    return small | {"protocol": protocol, "sandbox": sandbox, "verifier": verifier, "rewards": rewards}


def _flags(flags, command, notes, where):
    small = {}
    for name, value in flags.items():
        if name in cpu_flags.UNSUPPORTED and value not in (None, False, 1):
            notes.append(f"{where}left out, because the CPU has no such thing: {name}")
            continue
        small[name] = SIZES.get(name, value)
        if name in cpu_flags.WITHOUT_EFFECT and value:
            notes.append(f"{where}without effect on a CPU: {name}")
        elif name == "ds.attn_implementation" and value != "sdpa":
            notes.append(f"{where}torch's own attention takes the place of {name}: {value}")
        elif small[name] != value:
            notes.append(f"{where}smaller: {name} {value} -> {small[name]}")
    unit = int(flags.get("train.micro_batch_size", 1)) * RANKS
    if "train.batch_size" in flags:
        samples = unit if command == "train_sft" else BATCH * int(flags["rollout.n_samples_per_prompt"])
        small["train.batch_size"] = max(unit, samples - samples % unit)
        notes.append(f"{where}smaller: train.batch_size {flags['train.batch_size']} -> {small['train.batch_size']}")
    return small
