"""The commands ``openrlhf.cli.train_ppo`` and ``openrlhf.cli.train_sft``.

Without ``--plugin`` they are OpenRLHF's own. With it they resolve plugins and recipe, check what can be checked, write
the run's folder, and then run OpenRLHF's own command in this process with the flags that follow from it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import runpy
import shlex
import socket
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING

from r1ci_plugins.errors import MachineProblem, R1CIError, RecipeError

if TYPE_CHECKING:
    from r1ci_plugins.environment import Command, Environment
    from r1ci_plugins.protocol.chat_template import ChatTemplate
    from r1ci_plugins.questions.selection import Purpose
    from r1ci_plugins.tasks.task import Question
    from r1ci_plugins.trainers.openrlhf.plan import Plan
    from r1ci_plugins.training.supervised import Example

_USAGE = """\
usage: openrlhf.cli.{command} --plugin r1ci --recipe FILE [--set KEY=VALUE ...] [--dry-run] [OpenRLHF flags]
       openrlhf.cli.{command} [OpenRLHF flags]

{about}

r1ci options:
  --plugin NAME     load an installed plugin; may be repeated (`r1ci plugins` lists them); r1ci is the built-in one
  --recipe FILE     the experiment: model, tasks, protocol, sandbox, rewards, mask, trainer flags; a file, or
                    r1ci:NAME for one of `r1ci recipe list`; `r1ci recipe new` writes one
  --set KEY=VALUE   override a recipe key, for example --set seed=7 --set trainer.actor.adam.lr=5e-7; may be repeated
  --dry-run         print the resolved recipe, plugins, versions and the OpenRLHF command line; check; start nothing
  --for 8x80        with --dry-run: plan for 8 GPUs of 80 GB, or 2x8x80 for two nodes of them, instead of this machine
  --help            this text

Every other flag is OpenRLHF's own and wins over the recipe. Without --plugin this is plain OpenRLHF.

examples:
  openrlhf.cli.{command} --plugin r1ci --recipe {example} --dry-run
  openrlhf.cli.{command} --plugin r1ci --recipe {example} {override}
"""
_ABOUT = {
    "train_ppo": "Train a model by reinforcement learning (GRPO, PPO, REINFORCE++, ...) to reason with code.",
    "train_sft": "Fine-tune a model on recorded multi-turn trajectories, with the tokens and the loss mask of RL.",
}
_EXAMPLE = {
    "train_ppo": ("r1ci:qwen2.5-7b-grpo", "--actor.adam.lr 5e-7"),
    "train_sft": ("r1ci:qwen2.5-7b-sft", "--adam.lr 5e-6"),
}
_MIN_DISK_MB = 500


def train_ppo() -> None:
    """Console script ``openrlhf.cli.train_ppo``."""
    sys.exit(_main("train_ppo", sys.argv[1:]))


def train_sft() -> None:
    """Console script ``openrlhf.cli.train_sft``."""
    sys.exit(_main("train_sft", sys.argv[1:]))


def _main(command: Command, argv: Sequence[str]) -> int:
    try:
        return _run(command, argv)
    except R1CIError as error:
        print(f"openrlhf.cli.{command}: error: {error}", file=sys.stderr)
        return 2


def _run(command: Command, argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--plugin", action="append", default=[])
    parser.add_argument("--recipe")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--for", dest="machine")
    parser.add_argument("-h", "--help", action="store_true")
    own, rest = parser.parse_known_args(list(argv))
    if own.help:
        try:
            _print_help(command)
            sys.stdout.flush()
        except BrokenPipeError:  # `--help | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    _refuse_foreign_alias()
    if not own.plugin:
        own_options = {"--recipe": own.recipe, "--set": own.overrides, "--dry-run": own.dry_run, "--for": own.machine}
        for option, given in own_options.items():
            if given:
                raise RecipeError(f"{option} needs a plugin that reads it", fix="add --plugin r1ci")
        _become_upstream(command, rest)
        return 0

    from r1ci_plugins.engines.tokenizer import spare_torch
    from r1ci_plugins.recipe import secrets
    from r1ci_plugins.trainers.openrlhf.machine import planned_machine
    from r1ci_plugins.trainers.openrlhf.plan import make_plan
    from r1ci_plugins.trainers.openrlhf.ray_session import check_socket_path
    from r1ci_plugins.trainers.openrlhf.sft_examples import load_examples

    machine, rest = planned_machine(own.machine, dry_run=own.dry_run), secrets.to_environment(rest)
    plan = make_plan(command, own.plugin, own.recipe, own.overrides, rest, machine)
    if own.dry_run:
        print(plan.describe())
    if machine is not None:
        print(f"\n# checked for {machine}: flags, sizes, tasks. This machine was not looked at. Nothing was started.")
        return 0
    _prepare_process(plan)
    if own.dry_run:
        spare_torch()
    _check_disk(plan)
    loss_mask = plan.prepared.loss_mask()
    if command == "train_ppo":
        check_socket_path()
        asyncio.run(_try(plan.environment))  # takes a second; the tokenizer takes several
        template = plan.prepared.template()
        if own.dry_run:
            print("\n# checked: flags, sizes, model folder, chat template, tasks, sandbox, disk. Nothing was started.")
            return 0
        _write_folder(plan, template)
        return _train(plan)
    examples = load_examples(plan, plan.prepared.template(), loss_mask)
    if own.dry_run:
        print("\n# checked: flags, sizes, model folder, chat template, trajectories. Nothing was started.")
        return 0
    return _fine_tune(plan, examples, loss_mask.outputs_weight)


def _print_help(command: str) -> None:
    from r1ci_plugins.recipe import openrlhf_flags

    example, override = _EXAMPLE[command]
    print(_USAGE.format(command=command, about=_ABOUT[command], example=example, override=override))
    try:
        known = openrlhf_flags.flags(command)
    except MachineProblem as error:
        print(f"OpenRLHF flags: {error}")
        return
    print("OpenRLHF flags (default):")
    for flag in known.values():
        print(f"  --{flag.name} ({flag.default})" + (f"  {flag.help}" if flag.help else ""))


def _refuse_foreign_alias() -> None:
    """OpenRLHF owns its cli folder; should it ever ship a train_ppo.py, ours must not shadow it silently."""
    try:
        files = distribution("openrlhf").files or []
    except PackageNotFoundError:
        raise MachineProblem(
            "OpenRLHF is not installed",
            fix="pip install 'r1ci-plugins[gpu]'; without a GPU, `make setup` in a clone of r1ci-plugins",
        ) from None
    if any(str(file) == "openrlhf/cli/train_ppo.py" for file in files):
        raise MachineProblem(
            "this OpenRLHF ships its own openrlhf/cli/train_ppo.py, a file that r1ci-plugins also ships",
            fix="install openrlhf==0.11.2, or an r1ci-plugins release that knows this OpenRLHF",
        )


def _become_upstream(command: str, argv: Sequence[str]) -> None:
    """Run OpenRLHF's own command in this process."""
    from r1ci_plugins.recipe.openrlhf_flags import MODULES

    module = f"openrlhf.cli.{MODULES[command]}"
    sys.argv = [module, *argv]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


# -- before anything heavy starts -------------------------------------------------------------------------------------


def _prepare_process(plan: Plan) -> None:
    """Environment and import hooks of this process, which its children inherit."""
    from r1ci_plugins.recipe import cpu_flags, secrets
    from r1ci_plugins.rollout.run_folder import VARIABLE
    from r1ci_plugins.trainers.openrlhf import process_setup
    from r1ci_plugins.trainers.openrlhf.plan import rank

    if name := secrets.variable(plan.prepared.flags.get(secrets.WANDB_FLAG)):  # wandb itself looks in its own variable
        os.environ[secrets.WANDB_VARIABLE] = secrets.from_environment(name)
    os.environ[VARIABLE] = str(plan.folder.path)
    os.environ["R1CI_CPU_BACKEND"] = "1" if plan.prepared.cpu else "0"
    if plan.prepared.cpu:
        settings = plan.sizes.settings
        engines = settings["vllm.num_engines"] if plan.command == "train_ppo" else 0
        for name, value in cpu_flags.variables(max(engines, settings.gpus(settings.roles[0]))).items():
            os.environ.setdefault(name, value)
        if plan.command == "train_sft":  # under torchrun or deepspeed these are set
            alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
            for name, value in (alone | {"MASTER_PORT": str(_free_port())}).items():
                os.environ.setdefault(name, value)
        if not rank():
            print(cpu_flags.notice(), flush=True)
    process_setup.install()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _try(environment: Environment) -> None:
    """Start and stop the sandbox once, as every rollout worker will."""
    await environment.start()
    await environment.close()


def _check_disk(plan: Plan) -> None:
    from r1ci_plugins.trainers.openrlhf.plan import free_disk_mb

    free = free_disk_mb(plan.folder.path)
    if free < _MIN_DISK_MB:
        raise MachineProblem(
            f"only {free:.0f} MiB are free where the run is to be written",
            where=str(plan.folder.path),
            fix="free some space, or choose another folder with --set output_dir=...",
        )


def _write_folder(plan: Plan, template: ChatTemplate | None) -> None:
    """Write the resolved recipe, versions and, with a template, prompts; a resumed run keeps its prompts.

    Raises:
        RecipeError: The curriculum's profile does not fit the questions.
    """
    from r1ci_plugins.questions.selection import PURPOSES
    from r1ci_plugins.recipe.loading import dump_for_record
    from r1ci_plugins.rollout.run_folder import writing

    folder, prepared = plan.folder, plan.prepared
    with writing(folder.path):
        folder.path.mkdir(parents=True, exist_ok=True)
        if template is not None and not (plan.resumes and folder.prompts("train").exists()):
            if template.rewrites:
                print(f"r1ci: turns stay as they were sampled, where the chat template differs: {template.rewrites}")
            for purpose in PURPOSES:
                if prepared.draws(purpose):
                    questions = _write_prompts(plan, template, purpose)
                    if purpose == "train" and prepared.recipe.curriculum is not None:
                        _write_curriculum(plan, questions)
        folder.recipe.write_text(dump_for_record(prepared.recipe), encoding="utf-8")
        folder.run.write_text(plan.run_json(), encoding="utf-8")


def _write_curriculum(plan: Plan, questions: Sequence[Question]) -> None:
    """Write what the profile knows of each question, and say what each stage trains on."""
    from r1ci_plugins.curriculum.candidates import candidates, recipe_table, sampler_of, to_json, volumes
    from r1ci_plugins.rollout.whole_file import write_whole

    known = candidates(questions, recipe_table(plan.prepared))
    for line in volumes(sampler_of(known, plan.prepared)):
        print(f"r1ci: curriculum: {line}", flush=True)
    write_whole(plan.folder.curriculum, to_json(known).encode())


def _write_prompts(plan: Plan, template: ChatTemplate, purpose: Purpose) -> Sequence[Question]:
    """Generate the questions of ``train`` or ``eval``, with progress, and leave out those that do not fit."""
    from r1ci_plugins.questions.prompts import write_prompts
    from r1ci_plugins.report.progress import questions_with_progress

    found = questions_with_progress(plan.prepared, purpose, template)
    for note in found.notes:
        print(f"r1ci: {note}")
    write_prompts(plan.folder.prompts(purpose), found.questions, template.prompt_text)
    print(f"r1ci: {len(found.questions)} {purpose} questions in {plan.folder.prompts(purpose)}", flush=True)
    return found.questions


# -- the run ----------------------------------------------------------------------------------------------------------


def _fine_tune(plan: Plan, examples: Mapping[str, Sequence[Example]], outputs_weight: float) -> int:
    from r1ci_plugins.trainers.openrlhf import seams
    from r1ci_plugins.trainers.openrlhf.plan import rank

    if not rank():
        _write_folder(plan, None)
    seams.install_sft(examples, outputs_weight)
    _become_upstream("train_sft", plan.argv)
    if not rank():
        print(f"r1ci: model in {plan.folder.model}, everything else in {plan.folder.path}", flush=True)
    return 0


def _train(plan: Plan) -> int:
    from rich.console import Console

    from r1ci_plugins.evaluation.record import Evaluation
    from r1ci_plugins.report.comparison import comparison_table
    from r1ci_plugins.rollout.run_folder import read_lines
    from r1ci_plugins.trainers.openrlhf.ray_session import ray_session

    with ray_session(plan.prepared.cpu):
        _become_upstream("train_ppo", plan.argv)
    lines = list(read_lines(plan.folder.evaluations))
    ends = {"before": lines[0], "after": lines[-1]} if len(lines) > 1 else {}
    table = comparison_table([Evaluation.from_line(f"{when} (step {one['step']})", one) for when, one in ends.items()])
    console = Console()
    if table is not None:
        console.print(table)
    console.print(f"r1ci: model in {plan.folder.model}, everything else in {plan.folder.path}", soft_wrap=True)
    if (plan.folder.model / "adapter_config.json").exists():
        merge = ["python", "-m", "openrlhf.cli.lora_combiner", "--model_path", plan.prepared.model, "--lora_path"]
        merge += [str(plan.folder.model), "--output_path", f"{plan.folder.model}-merged"]
        console.print(f"r1ci: it is a LoRA adapter; to make a whole model of it: {shlex.join(merge)}", soft_wrap=True)
    console.print(f"r1ci: curves: tensorboard --logdir '{plan.folder.tensorboard}'", soft_wrap=True)
    return 0
