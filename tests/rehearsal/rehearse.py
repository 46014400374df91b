"""Rehearse runs for real on the CPU: GPU recipes by their twins, runs of random shapes, long runs with faults.

    python tests/rehearsal/rehearse.py recipes/qwen*.yaml  every GPU recipe's twin, interrupted once and taken up
    python tests/rehearsal/rehearse.py --shapes 20 --seed 7
    python tests/rehearsal/rehearse.py --steps 200
    python tests/rehearsal/rehearse.py --deaths            a process of each role is killed in the middle of a run

What each leaves is in ``runs/rehearsals-*``. The first rule that does not hold ends the rehearsal.
"""

import argparse
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from invariants import check_rl, check_sft
from twin import CONTEXT, twin

from r1ci_plugins.recipe.loading import read_recipe
from r1ci_plugins.rollout.trajectory_file import read_trajectories
from r1ci_plugins.training.loss_mask import MASKED

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BIN = Path(sys.executable).parent
TINY = ROOT / "models" / "tiny-random"
VICTIMS = ("ray::RolloutRayActor", "VLLM::EngineCore", "ray::PolicyModelActor", "ray::PPOTrainer")
ESTIMATORS = ("group_norm", "rloo", "reinforce_baseline", "dr_grpo", "reinforce", "gae")


def environment(folder):
    """The environment of a rehearsal, with its plugin installed in a folder of its own."""
    site = folder / "site"
    info = site / "rehearsal-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "fault_plugin.py", site)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rehearsal\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[r1ci.plugins]\nrehearsal = fault_plugin\n")
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    more = {"PYTHONPATH": path, "R1CI_CPU_BACKEND": "1", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **more, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def run(command, folder, *, meddle=None, limit_s=900):
    """Run a command to its end, its output in ``folder/log``.

    Args:
        command: Words.
        folder: Of the rehearsal.
        meddle: Called with the process again and again until it returns True: it has done what it was to do.
        limit_s: Seconds after which a run counts as one that hangs.

    Returns:
        Its status, and seconds.

    Raises:
        AssertionError: It hangs, or leaves a process behind.
    """
    started, meddled = time.monotonic(), meddle is None
    log = folder / "log"
    with open(log, "a") as output:
        print(f"$ {shlex.join(map(str, command))}", file=output, flush=True)
        process = subprocess.Popen(
            list(map(str, command)), cwd=ROOT, env=environment(folder), stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            while process.poll() is None:
                assert time.monotonic() < started + limit_s, f"no end after {limit_s} s, see {log}"
                meddled = meddled or meddle(process)
                time.sleep(0.1)
        finally:
            if process.poll() is None:
                for left in [process, *_processes_of(folder)]:
                    left.kill()
    end = time.monotonic() + 10
    while left := _processes_of(folder):
        assert time.monotonic() < end, f"still there: {left}"
        time.sleep(0.2)
    return process.returncode, time.monotonic() - started


def _processes_of(folder):
    """Processes that still work for a run in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("R1CI_RUN", "").startswith(str(folder)):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def rehearse(recipe_file, folder, *, rate):
    """Run the twin of a recipe, interrupt it once after a checkpoint, take it up, and check what must hold.

    Returns:
        What was counted, by stage.

    Raises:
        AssertionError: Something does not hold.
    """
    folder.mkdir(parents=True)
    output = folder / "run"
    made = folder / "examples" / "trajectories.jsonl.gz"
    command, text = twin(recipe_file, model=TINY, output_dir=output, trajectories=made, rate=rate)
    file = folder / "twin.yaml"
    file.write_text(text)
    plugins = ["--plugin", "r1ci", "--plugin", "rehearsal"]
    if command == "train_sft":
        synthesis = ["r1ci", "synthesize", "--recipe", ROOT / "recipes" / "synthesize-programs.yaml", "--out"]
        few = ["--set", "tasks.train=[{tasks: [reasoning_gym/gcd, bbh/boolean_expressions], count: 9}]"]
        few += ["--set", f"model={TINY}", "--set", "synthesis.per_task=6", "--set", "synthesis.keep_only_correct=true"]
        status, _ = run([*synthesis, made.parent, *few], folder)
        assert status == 0, f"no trajectories, see {folder / 'log'}"
        port = str(20_000 + os.getpid() % 10_000)
        launcher = ["torchrun", "--nproc_per_node", "2", "--master_port", port]
        first = [*launcher, BIN / "openrlhf.cli.train_sft", *plugins, "--recipe", file]
        checkpoint, again = output / "checkpoints" / "latest", ["--ckpt.load_enable"]
    elif command == "train_ppo":
        first = ["openrlhf.cli.train_ppo", *plugins, "--recipe", file]
        checkpoint, again = output / "checkpoints" / "_actor" / "latest", ["--ckpt.load_enable"]
    else:
        first = ["r1ci", "run", file, *plugins]
        checkpoint, again = output / "rl" / "checkpoints" / "_actor" / "latest", []

    def interrupt(process):
        if checkpoint.exists():
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        return checkpoint.exists()

    status, seconds = run(first, folder, meddle=interrupt)
    assert status != 0, f"it ended before it could be interrupted, see {folder / 'log'}"
    assert checkpoint.exists(), f"it ended with status {status}, see {folder / 'log'}"
    if command == "train_ppo":
        assert status == 130 and "interrupted" in (folder / "log").read_text(), f"status {status}"
    status, more = run([*first, *again], folder)
    assert status == 0, f"taken up, it ended with status {status}, see {folder / 'log'}"

    counted = {"seconds": round(seconds + more)}
    stages = {"": command} if command != "run" else {s["name"]: s["run"] for s in read_recipe(file)[0]["stages"]}
    for name, kind in stages.items():
        if kind == "train_ppo":
            counted |= check_rl(output / name, rate=rate, interrupted=True)
        elif kind == "train_sft":
            data = made if not name else output / "synthesis" / "trajectories.jsonl.gz"
            counted |= {f"SFT {key}": n for key, n in check_sft(output / name, trained_tokens=_trained(data)).items()}
    return counted


def _trained(file):
    """Tokens that the loss mask trains of the right trajectories in a file that fit a twin's context."""
    good = [one for one in read_trajectories(file) if one.correct and len(one.token_ids) <= CONTEXT]
    return sum(end - start for trajectory in good for start, end in MASKED.ranges(trajectory))


def shape(rng):
    """Flags of a run whose sizes go together and mostly do not divide."""
    ranks, engines = rng.randint(1, 3), rng.randint(1, 2)
    prompts, size, each = rng.randint(2, 7), rng.randint(1, 4), rng.randint(1, 4)
    micro, estimator = rng.randint(1, 3), rng.choice(ESTIMATORS)
    if each == 1:
        estimator = rng.choice(("reinforce", "gae"))
    unit, samples = micro * ranks, size * each
    if samples < unit:
        return shape(rng)
    flags = {
        "rollout.batch_size": size,
        "rollout.n_samples_per_prompt": each,
        "rollout.micro_batch_size": rng.randint(1, max(1, samples // ranks)),
        "train.batch_size": unit * rng.randint(1, samples // unit),
        "train.micro_batch_size": micro,
        "train.num_episodes": 2 if prompts <= 2 * size else 1,
        "actor.num_gpus_per_node": ranks,
        "ref.num_gpus_per_node": ranks,
        "vllm.num_engines": engines,
        "ds.zero_stage": rng.choice((0, 2, 3)),
        "algo.advantage.estimator": estimator,
        "algo.kl.init_coef": rng.choice((0, 0.01)),
    }
    if flags["algo.kl.init_coef"]:
        flags["algo.kl.use_loss"] = True
    if engines != ranks:
        flags |= {"train.colocate_all": False, "train.colocate_actor_ref": True}
    if estimator == "gae":
        flags |= {"critic.num_gpus_per_node": ranks, "algo.advantage.gamma": 0.99, "algo.advantage.lambd": 0.95}
    if estimator == "reinforce":
        flags["algo.advantage.gamma"] = rng.choice((1.0, 0.9))
    if rng.random() < 0.5:
        flags["ds.packing_samples"] = True
    return {"prompts": prompts, **flags}


def smoke(folder, flags, *, prompts, rate):
    """Run the smoke recipe with other flags, and check what must hold."""
    command = _smoke_command(folder, flags, prompts, rate)
    status, seconds = run(command, folder, limit_s=3600)
    assert status == 0, f"it ended with status {status}, see {folder / 'log'}"
    return {"seconds": round(seconds), **check_rl(folder / "run", rate=rate)}


def death(folder, victim):
    """Kill a process of a run after its first step; the run must end within a minute and say what died.

    Args:
        folder: Of the rehearsal.
        victim: How the process calls itself.
    """
    killed = []

    def kill(process):
        metrics = folder / "run" / "metrics.jsonl"
        found = [one for one in _processes_of(folder) if victim in " ".join(one.cmdline())] if metrics.exists() else []
        if found:
            found[0].kill()
            killed.append(time.monotonic())
        return bool(found)

    status, _ = run(_smoke_command(folder, _TWO, 50, 0), folder, meddle=kill)
    seconds, last = time.monotonic() - killed[0], (folder / "log").read_text().splitlines()[-4:]
    assert status == 2 and seconds < 60, f"status {status} after {seconds:.0f} s, see {folder / 'log'}"
    assert any("error: " in line for line in last), last
    return {"seconds to the end": round(seconds), "said": " ".join(last)[-600:]}


_TWO = {
    "rollout.batch_size": 3,
    "rollout.n_samples_per_prompt": 3,
    "train.batch_size": 8,
    "eval.steps": 1000,
    "ckpt.save_steps": 1000,
    "actor.num_gpus_per_node": 2,
    "ref.num_gpus_per_node": 2,
    "vllm.num_engines": 2,
}
"""Two ranks and two engines; 9 samples in steps of 8."""


def _smoke_command(folder, flags, prompts, rate):
    folder.mkdir(parents=True)
    settings = {
        "output_dir": folder / "run",
        "model": TINY,
        "tasks.train": f"[{{tasks: [reasoning_gym/gcd], count: {prompts}}}]",
        "protocol.answer_format": "babble",
        "verifier": f"{{name: faulty, options: {{rate: {rate}}}}}",
        "rewards": f"{{correctness: {{}}, checksum: {{}}, faulty: {{rate: {rate}}}}}",
        "sandbox.backend": "faulty",
        "sandbox.options": f"{{inside: firejail, rate: {rate}}}",
        "trainer.algo.advantage.is_correction_level": "token",  # so that vLLM's log-probs are compared
        **{f"trainer.{name}": json.dumps(value) for name, value in flags.items()},
    }
    command = ["openrlhf.cli.train_ppo", "--plugin", "r1ci", "--plugin", "rehearsal"]
    command += ["--recipe", ROOT / "recipes" / "cpu-smoke.yaml"]
    return command + [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", type=Path, help="recipes for GPUs")
    parser.add_argument("--shapes", type=int, default=0, help="runs of random shapes")
    parser.add_argument("--seed", type=int, default=0, help="of the shapes")
    parser.add_argument("--steps", type=int, default=0, help="steps of one long run with faults")
    parser.add_argument("--deaths", action="store_true", help="kill a process of each role")
    parser.add_argument("--rate", type=float, default=0.01, help="share of programs, answers and rewards that fail")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / f"rehearsals-{time.strftime('%Y%m%d-%H%M%S')}")
    options = parser.parse_args()
    out = options.out.absolute()
    # A script starts background jobs with Ctrl-C ignored, and the runs would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rng = random.Random(options.seed)
    jobs = []
    for recipe in options.recipes:
        jobs.append((recipe.stem, lambda recipe=recipe: rehearse(recipe, out / recipe.stem, rate=options.rate)))
    for number in range(options.shapes):
        flags = shape(rng)
        prompts = flags.pop("prompts")
        text = " ".join(f"{name}={value}" for name, value in flags.items())
        title = f"shape {number + 1}: {prompts} prompts, {text}"
        folder = out / f"shape-{number + 1}"
        jobs.append((title, lambda f=flags, p=prompts, d=folder: smoke(d, f, prompts=p, rate=options.rate)))
    if options.steps:
        folder = out / f"{options.steps}-steps"
        prompts = 3 * options.steps - 1
        jobs.append((folder.name, lambda: smoke(folder, _TWO, prompts=prompts, rate=options.rate)))
    for victim in VICTIMS if options.deaths else ():
        name = f"death-of-{victim.split(':')[-1]}"
        jobs.append((name, lambda victim=victim, name=name: death(out / name, victim)))
    for number, (title, job) in enumerate(jobs, 1):
        print(f"[{number}/{len(jobs)}] {title}", flush=True)
        print(f"    {job()}", flush=True)


if __name__ == "__main__":
    main()
