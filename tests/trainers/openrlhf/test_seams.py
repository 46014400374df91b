"""Each seam on OpenRLHF's real classes: that it is where we patch it, and what comes out of it."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import r1ci_plugins
from r1ci_plugins.errors import InfrastructureFault, TrajectoryFileError
from r1ci_plugins.protocol.segments import Segment, SegmentKind
from r1ci_plugins.recipe import cpu_flags
from r1ci_plugins.rollout.metrics import OutcomeSummary
from r1ci_plugins.rollout.run_folder import RunFolder, read_lines
from r1ci_plugins.rollout.trajectory import StopReason, Trajectory
from r1ci_plugins.rollout.trajectory_file import read_trajectories
from r1ci_plugins.tasks.task import Question
from r1ci_plugins.trainers import import_hooks
from r1ci_plugins.trainers.import_hooks import upstream as originals
from r1ci_plugins.trainers.openrlhf import cpu_backend, process_setup, seams
from r1ci_plugins.trainers.openrlhf.seams import (
    CPU_SEAMS,
    SEAMS,
    SFT_SEAMS,
    experience,
    losses,
    recorder,
    samples,
    trainer,
)
from r1ci_plugins.training.loss_mask import MASKED, UNMASKED, rollout_log_probs

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("torch", "openrlhf", "vllm", "deepspeed", "ray")),
        reason="needs the trainer's stack: run `make setup`",
    ),
]
IMPORTED_BY_NAME = {
    "openrlhf.trainer.ppo_utils.experience_maker": ("masked_mean",),
    "openrlhf.trainer.ppo_trainer_async": ("compute_eval_metrics", "prepare_datasets"),
    "openrlhf.models.loss": ("masked_mean",),
    "openrlhf.trainer.ray.ppo_actor": ("masked_mean", "get_loss_batch_info"),
}
"""Where upstream imports what we replace: it must get ours there too."""


@pytest.fixture(scope="module")
def upstream():
    """OpenRLHF's modules by name."""
    return {name: importlib.import_module(name) for name in {*(seam.module for seam in SEAMS), *IMPORTED_BY_NAME}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A run's folder, and a new recorder."""
    recipe = {"output_dir": str(tmp_path), "model": "none", "tasks": {"train": [{"tasks": ["demo/a"], "count": 1}]}}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    monkeypatch.setenv("R1CI_RUN", str(tmp_path))
    monkeypatch.setattr(recorder, "_recorder", None)
    return tmp_path


def trajectory(*, correct=True, fault="", index=0) -> Trajectory:
    segments = (
        Segment(SegmentKind.PROMPT, (1, 2, 3), "prompt"),
        Segment(SegmentKind.ACTION, (4, 5), "code", (-0.4, -0.5)),
        Segment(SegmentKind.SEPARATOR, (6,), "\n"),
        Segment(SegmentKind.CODE_OUTPUT, (7, 8), "42"),
        Segment(SegmentKind.SEPARATOR, (9,), "\n"),
        Segment(SegmentKind.ACTION, (10, 11, 12), "<<<42>>>", (-1.0, -1.1, -1.2)),
    )
    question = Question("?", "42", task="demo/a", split="rl", index=index)
    terms = {"correctness": float(correct), "format": 0.25}
    return Trajectory(
        question, segments, (), StopReason.ANSWERED, "42", float(correct), reward_terms=terms, fault=fault
    )


def sampled(upstream, one: Trajectory, mask=MASKED, log_probs=True):
    """What the real generator makes of a trajectory that arrives from a rollout worker."""
    from r1ci_plugins.trainers.openrlhf.agent_executor import response

    generator = upstream["openrlhf.trainer.ppo_utils.samples_generator"].SamplesGenerator
    answer = response("p", one, [] if one.excluded else mask.ranges(one), log_probs=log_probs)
    return generator._process_response_into_experience(object.__new__(generator), answer, max_len=64)


def found_at(module, path: str):
    """What a seam's name leads to; of a Ray actor, the class that runs: ray.remote copies the methods into its own."""
    found = importlib.import_module(module)
    for name in path.split("."):
        if hasattr(found, "__ray_metadata__"):
            found = found.__ray_metadata__.modified_class
        found = vars(found)[name]
    return found


def name_of(seam) -> str:
    return f"{seam.module.removeprefix('openrlhf.')}.{seam.name}"


@pytest.mark.parametrize("seam", SEAMS, ids=name_of)
def test_every_seam_is_in_place(seam):
    """Fails when upstream moves or renames something that we replace."""
    assert found_at(seam.module, seam.name) is seam.new
    assert originals[seam.new].__module__.startswith(("openrlhf.", "torch.utils.data."))


@pytest.mark.skipif(cpu_flags.cuda_available(), reason="this machine has CUDA")
@pytest.mark.parametrize("seam", CPU_SEAMS, ids=name_of)
def test_every_seam_for_cpus_is_in_place(seam):
    assert found_at(seam.module, seam.name) is seam.new


@pytest.mark.parametrize("module", IMPORTED_BY_NAME)
def test_modules_that_import_a_name_get_ours(module):
    for name in IMPORTED_BY_NAME[module]:
        assert found_at(module, name) in [seam.new for seam in SEAMS], name


def test_what_we_add_can_be_pickled_by_its_name():
    for seam in (*SEAMS, *SFT_SEAMS, *CPU_SEAMS):
        assert found_at(seam.new.__module__, seam.new.__qualname__) is seam.new, seam
        assert seam.new.__module__.startswith(f"{seams.__name__}."), seam


def test_nothing_but_the_table_of_seams_reaches_into_openrlhf():
    """Only the table names OpenRLHF's modules; three files import from it; nobody else replaces names of a module."""
    package, known = Path(r1ci_plugins.__file__).parent, Path("trainers/openrlhf")
    allowed = {
        known / "agent_executor.py": {"openrlhf.utils.agent"},
        known / "seams/sft.py": {"openrlhf.utils.utils"},
        known / "seams/experience.py": {
            "openrlhf.models.utils",
            "openrlhf.trainer.ppo_utils.experience",
            "openrlhf.trainer.ppo_utils.length_penalty",
        },
    }
    replacing = {Path("trainers/import_hooks.py"), known / "seams/__init__.py", known / "cpu_backend.py"}
    for file in package.rglob("*.py"):
        place, tree = file.relative_to(package), ast.parse(file.read_text(encoding="utf-8"))
        texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        named = {text for text in texts if re.fullmatch(r"openrlhf(\.[a-z_]+)+", text)} - {
            "openrlhf.cli.train_ppo",
            "openrlhf.cli.lora_combiner",
        }
        assert not named or place == known / "seams/__init__.py", place
        imported = {str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        imported |= {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
        assert {name for name in imported if name.split(".")[0] == "openrlhf"} <= allowed.get(place, set()), place
        uses = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        assert "Seam" not in uses or place in replacing, place
    assert {seam.module.split(".")[0] for seam in cpu_backend._BACKEND} == {"torch", "vllm", "deepspeed"}
    assert {seam.module.split(".")[0] for seam in (*SEAMS, *SFT_SEAMS, *CPU_SEAMS)} == {"openrlhf"}


def test_a_fresh_ray_worker_gets_our_functions(upstream, tmp_path):
    import ray.cloudpickle

    for name in ("ppo_trainer.PPOTrainer", "ppo_trainer_async.TrainingActor"):
        module, actor = name.split(".")
        remote_class = getattr(upstream[f"openrlhf.trainer.{module}"], actor).__ray_metadata__.modified_class
        (tmp_path / actor).write_bytes(ray.cloudpickle.dumps(remote_class))
    code = (
        "import pickle, sys\n"
        f"from {process_setup.__name__} import install\n"
        "install()\n"
        f"from {import_hooks.__name__} import upstream\n"
        "for file in sys.argv[1:]:\n"
        "    actor = pickle.load(open(file, 'rb'))\n"
        "    for name in ('_compute_rollout_stats', 'restore_best_checkpoint_state', 'save_logs_and_checkpoints'):\n"
        "        ours = getattr(actor, name)\n"
        "        print(name, ours.__module__, upstream[ours].__module__)\n"
    )
    decided = {} if cpu_flags.cuda_available() else {**cpu_flags.variables(), cpu_flags.VARIABLE: "1"}
    shown = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "PPOTrainer", tmp_path / "TrainingActor"],
        env={**os.environ, **decided},
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    lines = [line.split() for line in shown.stdout.splitlines() if "checkpoint" in line or "stats" in line]
    assert len(lines) == 6
    for _, ours, theirs in lines:
        assert ours == trainer.__name__ and theirs.startswith("openrlhf.trainer.ppo_trainer")


# -- from rollout to training sample ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [MASKED, UNMASKED])
def test_mask_and_log_probs_reach_the_trainer_one_column_to_the_left(upstream, folder, mask):
    one = trajectory()
    sample = sampled(upstream, one, mask)
    trained = {position for start, end in mask.ranges(one) for position in range(start, end)}
    length = len(one.token_ids)
    assert sample.sequences.tolist() == [one.token_ids]
    assert sample.action_mask.tolist() == [[int(i in trained) for i in range(1, length)]]
    assert sample.rollout_log_probs.tolist() == [pytest.approx(rollout_log_probs(one)[1:])]


def test_the_ablation_trains_exactly_the_code_output_more(upstream, folder):
    usual, ablation = (sampled(upstream, trajectory(), mask).action_mask for mask in (MASKED, UNMASKED))
    outputs = []
    for segment in trajectory().segments:
        outputs += [segment.kind is SegmentKind.CODE_OUTPUT] * len(segment.token_ids)
    assert (ablation - usual).tolist() == [[int(output) for output in outputs[1:]]]
    assert sum(outputs) == 2


def test_the_trajectory_is_recorded_and_an_outcome_travels_on(upstream, folder):
    recorder.recorder().step = 5
    sample = sampled(upstream, trajectory(correct=False, index=3))
    (recorded,) = read_trajectories(folder / "trajectories" / "train.jsonl.gz")
    assert recorded.step == 5 and recorded.question.index == 3
    assert samples.outcomes_of([sample]) == [
        OutcomeSummary(**OutcomeSummary.of(recorded).to_dict() | {"tool_errors": []})
    ]
    assert sample.rewards.tolist() == [0.25] and sample.scores.tolist() == [0.0]


def test_an_excluded_sample_trains_nothing(upstream, folder):
    sample = sampled(upstream, trajectory(fault="the sandbox failed"))
    assert not sample.action_mask.any() and samples.outcomes_of([sample])[0].excluded


@pytest.mark.parametrize("first", [True, False])
def test_a_sample_without_any_action_fits_beside_one_with_log_probs(upstream, folder, first):
    """OpenRLHF drops the log-probs of a micro-batch whose first sample has none, and fails where a later one does."""
    from openrlhf.trainer.ppo_utils.experience import Experience

    whole = trajectory()
    cut = Trajectory(whole.question, whole.segments[:1], (), StopReason.DEADLINE, score=0.0)
    both = [sampled(upstream, one) for one in ((cut, whole) if first else (whole, cut))]
    merged = Experience.concat_experiences(both, 0)
    assert merged.rollout_log_probs.shape == merged.action_mask.shape == (2, len(whole.token_ids) - 1)
    assert sampled(upstream, cut, log_probs=False).rollout_log_probs is None


def test_a_foreign_label_is_an_error():
    with pytest.raises(TrajectoryFileError, match="carries no outcome"):
        samples.outcomes_of([SimpleNamespace(labels=["42"])])


# -- excluded samples and baselines -----------------------------------------------------------------------------------


def outcome(excluded=False, correct=False, reward=0.0, index=0) -> OutcomeSummary:
    return OutcomeSummary(
        "demo/a", f"demo/a/{index}", correct, reward, {}, "answered", excluded, (), 0, (), (), (), 0, 3, 0.1
    )  # fmt: skip


def arguments(estimator, size, **reward):
    return SimpleNamespace(
        algo=SimpleNamespace(advantage=SimpleNamespace(estimator=estimator, gamma=1.0, no_std_norm=True)),
        rollout=SimpleNamespace(n_samples_per_prompt=size, micro_batch_size=3),
        reward=SimpleNamespace(clip_range=None, **reward),
        train=SimpleNamespace(dynamic_batch_enable=False, batch_size=1),
    )


def advantages(upstream, rewards, excluded, estimator, size, truncated=None, **reward):
    """One number per sample: its advantage, from the real experience maker; 0 where nothing is trained."""
    import torch
    from openrlhf.trainer.ppo_utils.experience import Experience

    maker_class = upstream["openrlhf.trainer.ppo_utils.experience_maker"].RemoteExperienceMaker
    maker = object.__new__(maker_class)
    maker.args = arguments(estimator, size, **reward)
    maker.strategy, maker.advantage_estimator = SimpleNamespace(args=maker.args), estimator
    maker.kl_ctl, maker.tokenizer = SimpleNamespace(value=0.0), SimpleNamespace(pad_token_id=0)
    maker.actor_model_group = SimpleNamespace(_actor_handlers=[None] * 2, duplicate_actors=1)
    maker.critic_model_group = maker.reward_model_group = maker.initial_model_group = None
    made = []
    for i, value in enumerate(rewards):
        mask = [0, 1, 1, 0, 1]
        made.append(
            Experience(
                sequences=torch.ones(1, 6, dtype=torch.long),
                attention_mask=torch.ones(1, 6, dtype=torch.long),
                total_length=torch.tensor([6]),
                action_mask=torch.tensor([[0] * 5 if excluded[i] else mask]),
                rewards=torch.tensor([0.0 if excluded[i] else value]),
                response_length=torch.tensor([4]),
                truncated=torch.tensor([bool(truncated and truncated[i])]),
                labels=[json.dumps(outcome(excluded[i]).to_dict())],
                info={"reward": torch.tensor([0.0 if excluded[i] else value])},
            )
        )
    batches = maker.split_rollout_samples(made)
    for batch in batches:
        batch.kl = torch.zeros_like(batch.action_mask, dtype=torch.float32)
    found = {}
    for batch in maker.compute_advantages_and_returns(batches):
        trained = batch.advantages * batch.action_mask
        for row, index in enumerate(batch.index):
            values = set(trained[row][batch.action_mask[row].bool()].tolist())
            assert len(values) <= 1  # gamma 1: every trained token has the sample's advantage
            assert not trained[row][~batch.action_mask[row].bool()].any()
            found[index] = values.pop() if values else 0.0
    return [found[i] for i in range(len(rewards))]


def test_a_length_penalty_counts_in_the_baseline(upstream):
    found = advantages(
        upstream, [1.0, 0.0, 9.0, 0.0], [False, False, True, False], "dr_grpo", 4,
        truncated=[False, True, True, False], stop_properly_penalty_coef=-0.5,
    )  # fmt: skip
    mean = (1.0 - 0.5 + 0.0) / 3
    assert found == pytest.approx([1.0 - mean, -0.5 - mean, 0.0, -mean])


def test_a_batch_of_nothing_but_faults_ends_the_run_and_names_the_cause(upstream, folder, monkeypatch):
    maker = upstream["openrlhf.trainer.ppo_utils.experience_maker"].RemoteExperienceMaker
    monkeypatch.setitem(originals, experience.make_experience_batch, lambda self, samples: [])
    make = object.__new__(maker).make_experience_batch
    dead = [sampled(upstream, trajectory(fault="no room on the device")) for _ in range(2)]
    assert make([dead[0], sampled(upstream, trajectory())]) == []
    with pytest.raises(InfrastructureFault, match="all 2 trajectories .* no room on the device") as caught:
        make(dead)
    assert "--ckpt.load_enable" in str(caught.value)


def test_the_first_fault_of_each_kind_is_printed_at_once(folder, capsys):
    here = recorder.recorder()
    for fault in ("slot 3 died", "slot 4 died", "the checker raised", ""):
        here.record(trajectory(fault=fault).to_json())
    said = capsys.readouterr().out
    assert "slot 3 died" in said and "slot 4 died" not in said and "the checker raised" in said


def test_an_excluded_sample_does_not_sway_dynamic_filtering(upstream, monkeypatch):
    import asyncio

    actor = upstream["openrlhf.trainer.ray.vllm_engine"].RolloutRayActor.__ray_metadata__.modified_class

    def scores(*given):
        async def theirs(self, **options):
            return [{"scores": score or 0.0, "excluded": score is None} for score in given]

        monkeypatch.setitem(originals, samples.generate_responses, theirs)
        return [one["scores"] for one in asyncio.run(actor.generate_responses(object.__new__(actor)))]

    assert scores(1.0, None, 0.0, 1.0, 1.0) == [1.0, 0.75, 0.0, 1.0, 1.0]
    assert scores(None, None) == [None, None]
    generator = object.__new__(upstream["openrlhf.trainer.ppo_utils.samples_generator"].SamplesGenerator)
    generator.args = SimpleNamespace(algo=SimpleNamespace(dynamic_filtering_range=(0.0, 1.0)))
    from r1ci_plugins.trainers.openrlhf.agent_executor import response

    answer = response("p", trajectory(fault="down"), [], log_probs=True) | {"scores": None}
    monkeypatch.setattr(
        recorder, "_recorder", SimpleNamespace(record=lambda label: outcome(excluded=True), phase="train")
    )
    # Such a group is kept: a dead sandbox must end the run, not use up its prompts.
    assert generator._process_response_into_experience(answer, max_len=64).scores.tolist() == [0.5]


def test_the_tokenizer_travels_by_name(upstream, monkeypatch):
    module = upstream["openrlhf.trainer.ppo_utils.samples_generator"]
    sent = []

    class Engine:
        generate_responses = SimpleNamespace(remote=lambda **given: sent.append(given))
        get_num_unfinished_requests = SimpleNamespace(remote=lambda: 0)

    monkeypatch.setattr(module.ray, "get", lambda refs: refs)
    advantage = SimpleNamespace(is_correction_level="off")
    args = SimpleNamespace(algo=SimpleNamespace(advantage=advantage), rollout=SimpleNamespace(n_samples_per_prompt=2))
    tokenizer = SimpleNamespace(name_or_path="models/one")
    generator = object.__new__(module.SamplesGenerator)
    generator.args, generator.tokenizer, generator.vllm_engines = args, tokenizer, [Engine()]
    generator._dispatch_prompts_to_vllm(["p", "q"], ["l", "m"])
    assert [given["hf_tokenizer"] for given in sent] == ["models/one"] * 2
    assert generator.tokenizer is tokenizer


def test_the_steps_of_a_run_are_counted_as_they_are_taken(folder, upstream, monkeypatch):
    args = SimpleNamespace(
        rollout=SimpleNamespace(batch_size=4, n_samples_per_prompt=3),
        train=SimpleNamespace(batch_size=10, num_episodes=2, max_epochs=1),
    )
    monkeypatch.setitem(originals, trainer.prepare_datasets, lambda *given: ([None] * 7, None, 3))
    prepare = upstream["openrlhf.trainer.ppo_trainer"].prepare_datasets
    assert prepare(SimpleNamespace(args=args), None)[2] == 2 * (2 + 1)  # 12 and 9 samples in steps of 10


def test_the_advantage_of_each_trajectory_is_kept(upstream, folder, monkeypatch):
    import torch

    maker = upstream["openrlhf.trainer.ppo_utils.experience_maker"].RemoteExperienceMaker
    said = [trajectory(), dataclasses.replace(trajectory(), step=4), trajectory(fault="down")]
    made = SimpleNamespace(
        action_mask=torch.tensor([[0, 1, 1], [1, 1, 0], [0, 0, 0]]),
        advantages=torch.tensor([[9.0, 0.5, 0.5], [-1.0, -0.5, 9.0], [9.0, 9.0, 9.0]]),
        labels=[json.dumps(OutcomeSummary.of(one).to_dict()) for one in said],
    )
    monkeypatch.setitem(originals, experience.make_experience_batch, lambda self, samples: [made])
    assert object.__new__(maker).make_experience_batch([sampled(upstream, trajectory())]) == [made]
    lines = list(read_lines(RunFolder(folder).advantages))
    assert [line["trajectory"] for line in lines] == [one.fingerprint for one in said[:2]]
    assert lines[0]["advantage"] == 0.5 and "lowest" not in lines[0]
    assert (lines[1]["advantage"], lines[1]["lowest"], lines[1]["highest"]) == (-0.75, -1.0, -0.5)


# -- empty masks ------------------------------------------------------------------------------------------------------

masks = st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=1, max_size=4)


@settings(deadline=None)
@given(masks, st.sampled_from([None, 0, -1]))
def test_masked_mean_is_upstreams_and_0_where_the_mask_is_empty(upstream, rows, dim):
    import torch

    mask = torch.tensor(rows)
    tensor = torch.arange(1.0, mask.numel() + 1).reshape(mask.shape)
    ours = upstream["openrlhf.models.loss"].masked_mean(tensor, mask, dim)
    theirs = originals[losses.masked_mean](tensor, mask, dim)
    assert torch.equal(ours, theirs.nan_to_num(0.0))
    assert torch.equal(upstream["openrlhf.models.loss"].masked_mean(tensor, None), tensor.mean())


@pytest.mark.parametrize("token_level", [True, False])
@pytest.mark.parametrize("rows", [[[0, 0, 0]], [[1, 1, 0]], [[0, 0, 0], [1, 0, 0]]])
def test_the_loss_of_a_step_without_trained_tokens_is_0(upstream, rows, token_level):
    import torch

    mask, gas = torch.tensor(rows), 4
    loss_utils, aggregate = upstream["openrlhf.utils.loss_utils"], upstream["openrlhf.models.loss"].aggregate_loss
    loss = torch.ones(mask.shape, requires_grad=True)
    windows = {
        "window": loss_utils._optimizer_step_loss_norm([mask] * gas, None, 1, gas),
        "dynamic": loss_utils.get_loss_batch_info(SimpleNamespace(), mask),
    }
    for norms in windows.values():
        value = aggregate(loss, mask, token_level, **norms)
        assert value.item() == pytest.approx(float(mask.any()))
        (gradient,) = torch.autograd.grad(value, loss)
        assert torch.isfinite(gradient).all()


# -- evaluation and files ---------------------------------------------------------------------------------------------


def evaluate(upstream, outcomes, per_question):
    import torch
    from openrlhf.trainer.ppo_utils.experience import Experience

    answers = [
        Experience(
            prompts=[f"p{i // per_question}"],
            labels=[json.dumps(one.to_dict())],
            rewards=torch.tensor([one.reward]),
            scores=torch.tensor([float(one.correct)]),
            response_length=torch.tensor([3]),
            truncated=torch.tensor([False]),
        )
        for i, one in enumerate(outcomes)
    ]
    loader = [(["demo/a"], [f"p{i}"], ["l"], [None]) for i in range(len(outcomes) // per_question)]
    return upstream["openrlhf.trainer.ppo_trainer"].compute_eval_metrics(loader, answers, per_question)


def test_evaluation_reports_accuracy_and_not_reward(upstream, folder, capsys):
    recorder.recorder().step = 4
    logs = evaluate(upstream, [outcome(correct=i == 0, reward=0.7, index=i) for i in range(4)], 1)
    assert logs["eval_demo/a_pass1"] == logs["eval_accuracy"] == logs["eval_task/demo/a/accuracy"] == 0.25
    assert logs["eval_reward"] == pytest.approx(0.7)
    (line,) = [json.loads(line) for line in (folder / "evaluations.jsonl").read_text().splitlines()]
    assert (line["step"], line["accuracy"], line["questions"], len(line["outcomes"])) == (4, 0.25, 4, 4)
    assert line["standard_error"] == pytest.approx(0.25)
    assert "after step 4: accuracy 25.0% +- 25.0%" in capsys.readouterr().out


def test_an_excluded_sample_is_neither_right_nor_wrong(upstream, folder):
    outcomes = [
        outcome(correct=True, index=0),
        outcome(excluded=True, index=0),  # the question's other sample decides
        outcome(excluded=True, index=1),
        outcome(excluded=True, index=1),  # nothing is known of this question
        outcome(correct=True, index=2),
        outcome(correct=False, index=2),
    ]
    logs = evaluate(upstream, outcomes, 2)
    assert logs["eval_demo/a_pass1"] == pytest.approx(0.75) and logs["eval_demo/a_pass2"] == pytest.approx(1.0)
    (line,) = [json.loads(line) for line in (folder / "evaluations.jsonl").read_text().splitlines()]
    assert (line["accuracy"], line["questions"]) == (0.75, 2)


def test_a_full_disk_does_not_end_the_run(upstream, folder, caplog):
    (folder / "evaluations.jsonl").symlink_to("/dev/full")
    logs = evaluate(upstream, [outcome(correct=True)], 1)
    assert logs["eval_accuracy"] == 1.0
    assert "cannot write" in caplog.text and "Training goes on" in caplog.text
