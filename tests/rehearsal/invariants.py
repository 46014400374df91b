"""What must hold after any run, read from its folder: steps, rewards, exclusions, advantages, masks."""

import json
import math
import statistics
from collections import Counter, defaultdict
from pathlib import Path

from fault_plugin import REHEARSED, checksum, fails
from safetensors.torch import load_file

from r1ci_plugins.plugins.packs import load_packs
from r1ci_plugins.recipe.loading import load_recipe
from r1ci_plugins.rewards.terms import Correctness, Efficiency, Format
from r1ci_plugins.rewards.verifier import ask_task
from r1ci_plugins.rollout.run_folder import RunFolder, read_lines
from r1ci_plugins.rollout.trajectory_file import read_trajectories
from r1ci_plugins.training.loss_mask import MASKED, check_invariants

PACKS = ("bbh", "reasoning_gym")


def check_rl(folder, *, rate, interrupted=False):
    """Check a run of ``train_ppo`` with the plugin of rehearsals.

    Args:
        folder: The run's folder.
        rate: Share of the programs, answers and rewards that had to fail.
        interrupted: Whether the run was interrupted and went on, so that steps may have been taken twice.

    Returns:
        Counts: steps, trajectories, and faults by kind.

    Raises:
        AssertionError: Something does not hold.
    """
    run = RunFolder(folder)
    flags = _flags(run)
    prompts = [json.loads(line)["label"] for line in run.prompts("train").read_text().splitlines()]
    size, each, episodes = (
        int(flags[name]) for name in ("rollout.batch_size", "rollout.n_samples_per_prompt", "train.num_episodes")
    )
    sizes = [min(size, len(prompts) - start) * each for start in range(0, len(prompts), size)] * episodes

    steps = {line["step"]: line for line in read_lines(run.metrics)}
    assert sorted(steps) == list(range(1, len(sizes) + 1)), f"steps {sorted(steps)}, not 1 to {len(sizes)}"
    for step, line in steps.items():
        wrong = {name: value for name, value in line.items() if not math.isfinite(value)}
        assert not wrong, f"step {step}: {wrong}"
        if flags.get("algo.advantage.is_correction_level", "off") != "off":  # else the trainer does not ask vLLM
            assert abs(line["vllm_kl"]) < 0.01, f"step {step}: log-probs of vLLM differ by {line['vllm_kl']}"
        assert line["rollout/samples"] == sizes[step - 1], f"step {step}: {line['rollout/samples']} samples"

    by_step = defaultdict(list)
    for trajectory in read_trajectories(run.trajectories("train")):
        by_step[trajectory.step].append(trajectory)
    assert sorted(by_step) == list(range(len(sizes)))
    faults, count = Counter(), 0
    for step, trajectories in by_step.items():
        more = len(trajectories) - sizes[step]
        assert more == 0 or (interrupted and more > 0), f"step {step}: {len(trajectories)} trajectories"
        by_step[step] = trajectories[more:]  # a step that was taken again counts as it was taken last
        count += len(trajectories)
        for trajectory in trajectories:
            faults[_fault(trajectory, rate)] += 1
        assert steps[step + 1]["rollout/excluded"] == sum(t.excluded for t in by_step[step])
    for episode in range(episodes):
        here = range(episode * len(sizes) // episodes, (episode + 1) * len(sizes) // episodes)
        asked = Counter(t.question.key for step in here for t in by_step[step])
        assert len(asked) == len(prompts) and set(asked.values()) == {each}, f"episode {episode}: {asked}"
    if flags["algo.advantage.estimator"] == "group_norm":
        _check_advantages(run, by_step)
    _check_model(run)
    counted = {"steps": len(sizes), "trajectories": count, **dict(faults)}
    counted["optimizer steps"] = sum("policy_loss" in line for line in steps.values())
    return counted


def check_sft(folder, *, trained_tokens):
    """Check a run of ``train_sft``.

    Args:
        folder: The run's folder.
        trained_tokens: Tokens that an epoch trains.

    Returns:
        Counts.

    Raises:
        AssertionError: Something does not hold.
    """
    run = RunFolder(folder)
    flags = _flags(run)
    epochs = int(flags["train.max_epochs"])
    steps = {line["step"]: line for line in read_lines(run.metrics)}
    assert sorted(steps) == list(range(1, len(steps) + 1))
    assert len(steps) % epochs == 0, f"{len(steps)} steps in {epochs} epochs"
    for line in steps.values():
        assert math.isfinite(line["gpt_loss"]) and line["grad_norm"] > 0, line
    found = sum(line["trained_tokens"] for line in steps.values())
    assert found == trained_tokens * epochs, f"{found} tokens were trained, not {trained_tokens} x {epochs}"
    assert (run.model / "config.json").exists()
    return {"steps": len(steps), "trained tokens": found}


def _flags(run):
    """The flags of the run's command line; a flag without a value is True."""
    flags, name = {}, None
    for word in run.read_run()["command"].split():
        if word.startswith("--"):
            name = word[2:]
            flags[name] = True
        elif name:
            flags[name], name = word, None
    return flags


def _fault(trajectory, rate):
    """Check one trajectory; return the kind of its fault, or ``fine``."""
    check_invariants(trajectory, MASKED.ranges(trajectory), MASKED)
    assert not any(fails("sandbox", call.code, rate) for call in trajectory.tool_calls), "a lost program has a result"
    answer = trajectory.answer
    if f"{REHEARSED} of the sandbox" in trajectory.fault:
        return "sandbox"
    if answer is not None and fails("checker", trajectory.question.key + answer, rate):
        assert "check" in trajectory.fault, f"the checker failed, and the fault is {trajectory.fault!r}"
        return "checker"
    if fails("reward", trajectory.fingerprint, rate):
        assert "reward term faulty" in trajectory.fault, f"the reward failed, and the fault is {trajectory.fault!r}"
        return "reward"
    assert not trajectory.excluded, f"excluded for what was not rehearsed: {trajectory.fault}"
    pack, _, name = trajectory.question.task.partition("/")
    task = load_packs(PACKS)[pack][name]
    score = 0.0 if answer is None else ask_task(task, trajectory.question, answer).value
    assert trajectory.score == score, f"score {trajectory.score}, not {score}"
    right = {"correctness": Correctness(), "format": Format(), "efficiency": Efficiency(), "checksum": checksum}
    for name, value in trajectory.reward_terms.items():
        assert value == (right[name](trajectory) if name in right else 0), f"{name} is {value}"
    return "fine"


def _check_model(run):
    """The model is whole, and training has changed it."""
    assert (run.model / "config.json").exists()
    before, after = (
        load_file(folder / "model.safetensors") for folder in (Path(load_recipe(run.recipe).model), run.model)
    )
    assert any(not weight.equal(after[name]) for name, weight in before.items() if name in after)


def _check_advantages(run, by_step):
    """Group-normalised advantages again, from the rewards of the known samples alone."""
    recorded = {(line["step"], line["trajectory"]): line["advantage"] for line in read_lines(run.advantages)}
    expected = {}
    for step, trajectories in by_step.items():
        groups = defaultdict(list)
        for trajectory in trajectories:
            if not trajectory.excluded:
                groups[trajectory.question.key].append(trajectory)
        for group in groups.values():
            rewards = [t.reward for t in group]
            mean = statistics.fmean(rewards)
            deviation = statistics.stdev(rewards) if len(rewards) > 1 else 0.0
            for trajectory, reward in zip(group, rewards, strict=True):
                if MASKED.ranges(trajectory):
                    expected[step + 1, trajectory.fingerprint] = (reward - mean) / (deviation + 1e-9)
    excluded = {(step + 1, t.fingerprint) for step, ts in by_step.items() for t in ts if t.excluded}
    assert not excluded & set(recorded) - set(expected), "an excluded sample was trained"
    missing = set(expected) - set(recorded)
    assert not missing, f"{len(missing)} samples have no advantage"
    for key, value in expected.items():
        assert math.isclose(recorded[key], value, rel_tol=2e-2, abs_tol=2e-2), (key, recorded[key], value)
