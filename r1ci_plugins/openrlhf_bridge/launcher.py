"""The commands ``openrlhf.cli.train_ppo`` and ``openrlhf.cli.train_sft``.

Without ``--plugin`` they are OpenRLHF's own. With it they resolve plugins and recipe, check what can be checked, write
the run's folder, and then run OpenRLHF's own command in this process with the flags that follow from it.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING, Any

from r1ci_plugins.errors import EnvironmentProblem, R1CIError, RecipeError, TaskError

if TYPE_CHECKING:
    from r1ci_plugins.openrlhf_bridge.launch_plan import Plan
    from r1ci_plugins.protocol.chat_template import ChatTemplate

_USAGE = """\
usage: openrlhf.cli.{command} --plugin r1ci --recipe FILE [--set KEY=VALUE ...] [--dry-run] [OpenRLHF flags]
       openrlhf.cli.{command} [OpenRLHF flags]

{about}

r1ci options:
  --plugin NAME     load an installed plugin; may be repeated (`r1ci plugins` lists them); r1ci is the built-in one
  --recipe FILE     the experiment: model, tasks, protocol, sandbox, rewards, mask, trainer flags (see recipes/)
  --set KEY=VALUE   override a recipe key, for example --set seed=7 --set trainer.actor.adam.lr=5e-7; may be repeated
  --dry-run         print the resolved recipe, plugins, versions and the OpenRLHF command line; check; start nothing
  --help            this text

Every other flag is OpenRLHF's own and wins over the recipe. Without --plugin this is plain OpenRLHF.

examples:
  openrlhf.cli.{command} --plugin r1ci --recipe {example} --dry-run
  openrlhf.cli.{command} --plugin r1ci --recipe {example} {override}
"""
_ABOUT = {
    "train_ppo": "Train a model by reinforcement learning (GRPO, PPO, REINFORCE++, ...) to reason with code.",
    "train_sft": "Fine-tune a model with OpenRLHF's SFT trainer; the recipe gives model, folders and trainer flags.",
}
_EXAMPLE = {
    "train_ppo": ("recipes/qwen2.5-7b-grpo.yaml", "--actor.adam.lr 5e-7"),
    "train_sft": ("my-sft.yaml", "--adam.lr 1e-5"),
}
_MIN_DISK_MB = 500
_SETUP_BUILDS_MODELS = "`make setup` builds the models of the CPU recipes"


def train_ppo() -> None:
    """Console script ``openrlhf.cli.train_ppo``."""
    sys.exit(_main("train_ppo", sys.argv[1:]))


def train_sft() -> None:
    """Console script ``openrlhf.cli.train_sft``."""
    sys.exit(_main("train_sft", sys.argv[1:]))


def _main(command: str, argv: Sequence[str]) -> int:
    try:
        return _run(command, argv)
    except R1CIError as error:
        print(f"openrlhf.cli.{command}: error: {error}", file=sys.stderr)
        return 2


def _run(command: str, argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--plugin", action="append", default=[])
    parser.add_argument("--recipe")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--dry-run", action="store_true")
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
        for option, given in (("--recipe", own.recipe), ("--set", own.overrides), ("--dry-run", own.dry_run)):
            if given:
                raise RecipeError(f"{option} needs a plugin that reads it", fix="add --plugin r1ci")
        _become_upstream(command, rest)
        return 0

    from r1ci_plugins.openrlhf_bridge.launch_plan import make_plan

    plan = make_plan(command, own.plugin, own.recipe, own.overrides, rest)
    if own.dry_run:
        print(plan.describe())
    _prepare_process(plan)
    if command == "train_ppo":
        template = _check_policy(plan)
        _check_machine(plan)
        if own.dry_run:
            print("\n# checked: flags, model folder, chat template, tasks, sandbox, disk. Nothing was started.")
            return 0
        _write_folder(plan, template)
        return _train(plan)
    if own.dry_run:
        return 0
    _write_folder(plan, None)
    _become_upstream(command, plan.argv)
    return 0


def _print_help(command: str) -> None:
    from r1ci_plugins.openrlhf_bridge import openrlhf_flags

    example, override = _EXAMPLE[command]
    print(_USAGE.format(command=command, about=_ABOUT[command], example=example, override=override))
    try:
        known = openrlhf_flags.flags(command)
    except EnvironmentProblem as error:
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
        raise EnvironmentProblem(
            "OpenRLHF is not installed",
            fix="pip install 'r1ci-plugins[gpu]'; without a GPU, `make setup` in a clone of r1ci-plugins",
        ) from None
    if any(str(file) == "openrlhf/cli/train_ppo.py" for file in files):
        raise EnvironmentProblem(
            "this OpenRLHF ships its own openrlhf/cli/train_ppo.py, a file that r1ci-plugins also ships",
            fix="install openrlhf==0.11.2, or an r1ci-plugins release that knows this OpenRLHF",
        )


def _become_upstream(command: str, argv: Sequence[str]) -> None:
    """Run OpenRLHF's own command in this process."""
    from r1ci_plugins.openrlhf_bridge.openrlhf_flags import MODULES

    module = f"openrlhf.cli.{MODULES[command]}"
    sys.argv = [module, *argv]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


# -- before anything heavy starts -------------------------------------------------------------------------------------


def _prepare_process(plan: Plan) -> None:
    """Environment and import hooks of this process, which its children inherit."""
    from r1ci_plugins.openrlhf_bridge import cpu_backend, process_setup
    from r1ci_plugins.run_folder import VARIABLE

    os.environ[VARIABLE] = str(plan.folder.path)
    os.environ["R1CI_CPU_BACKEND"] = "1" if plan.cpu else "0"
    if plan.cpu:
        for name, value in cpu_backend.environment().items():
            os.environ.setdefault(name, value)
        if plan.command == "train_sft":  # under torchrun or deepspeed these are set
            alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
            for name, value in (alone | {"MASTER_PORT": "29577"}).items():
                os.environ.setdefault(name, value)
        print(cpu_backend.notice(), flush=True)
    process_setup.install()


def _check_policy(plan: Plan) -> ChatTemplate:
    """Load the tokenizer and verify turn boundaries against its chat template.

    Raises:
        EnvironmentProblem: The model folder or its tokenizer cannot be loaded.
        TemplateError: The chat template cannot carry the protocol.
    """
    from transformers import AutoTokenizer

    from r1ci_plugins.plugins import assemble
    from r1ci_plugins.protocol.chat_template import ChatTemplate

    exists = os.path.isdir(plan.model)
    looks_local = exists or plan.model.startswith((".", "/", "~")) or plan.model.count("/") != 1
    looks_local = looks_local or os.path.isdir(os.path.dirname(plan.model))
    if looks_local and not os.path.isfile(os.path.join(plan.model, "config.json")):
        raise EnvironmentProblem(
            f"the model folder {plan.model!r} {'has no config.json' if exists else 'is missing'}",
            where="recipe key model",
            fix=f"give a Hugging Face model folder or hub name; {_SETUP_BUILDS_MODELS}",
        )
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(plan.model, trust_remote_code=True)
    except Exception as error:  # transformers and the hub raise many types
        place = "from this folder" if exists else "from the hub, and there is no such folder"
        cause = next(iter(str(error).splitlines()), "")
        raise EnvironmentProblem(
            f"the tokenizer of {plan.model!r} cannot be loaded {place}: {type(error).__name__}: {cause}",
            where="recipe key model",
            fix=f"check the folder or hub name, and that the hub can be reached from here; {_SETUP_BUILDS_MODELS}",
        ) from error
    return ChatTemplate(tokenizer, assemble(plan.recipe, plan.plugins).instructions)


def _check_machine(plan: Plan) -> None:
    """Build everything that a rollout worker will build, start and stop the sandbox once, look at the disk."""
    import asyncio

    from r1ci_plugins.openrlhf_bridge.launch_plan import free_disk_mb
    from r1ci_plugins.plugins import assemble

    recipe = plan.recipe
    sandbox = assemble(recipe, plan.plugins).sandbox

    async def try_sandbox() -> None:
        await sandbox.start()
        await sandbox.close()

    asyncio.run(try_sandbox())
    free = free_disk_mb(plan.folder.path)
    if free < _MIN_DISK_MB:
        raise EnvironmentProblem(
            f"only {free:.0f} MiB are free where the run is to be written",
            where=str(plan.folder.path),
            fix="free some space, or choose another folder with --set output_dir=...",
        )


def _write_folder(plan: Plan, template: ChatTemplate | None) -> None:
    """Write the resolved recipe, versions and prompts."""
    from r1ci_plugins.recipe import dump

    folder = plan.folder
    resuming = bool(plan.flags.get("ckpt.load_enable"))
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        if template is not None and not (resuming and folder.prompts("train").exists()):
            for name in ("train", "eval"):
                if plan.questions(name):
                    _write_prompts(plan, template, name)
        folder.recipe.write_text(dump(plan.recipe), encoding="utf-8")
        folder.run.write_text(plan.run_json(), encoding="utf-8")
    except OSError as error:
        raise EnvironmentProblem(
            f"the run's folder cannot be written: {error}",
            where=str(folder.path),
            fix="free some space, or choose another folder with --set output_dir=...",
        ) from error


def _write_prompts(plan: Plan, template: ChatTemplate, name: str) -> None:
    """Generate the questions of ``train`` or ``eval``, with progress, and leave out those that do not fit."""
    import random

    from rich.progress import track

    from r1ci_plugins.tasks.prompts import write_prompts
    from r1ci_plugins.tasks.splits import draw

    protocol = plan.recipe.protocol
    length = int(plan.flags.get("data.max_len") or 2048)
    room = min(protocol.max_total_tokens or length, length)
    kept, too_long = [], 0
    for pack, task, split, count, difficulty in track(plan.questions(name), f"generating {name} questions"):
        questions = list(draw(pack.name, task, split, plan.recipe.seed, count, difficulty))
        fitting = [q for q in questions if len(template.prompt(q.text).token_ids) < room]
        if not fitting:
            raise TaskError(
                f"every question of {pack.name}/{task.name} is longer than the context of {room} tokens",
                where=f"recipe key tasks.{name}",
                fix="raise trainer.data.max_len (and protocol.max_total_tokens), lower difficulty, or drop the task",
            )
        too_long += len(questions) - len(fitting)
        kept += fitting
    if too_long:
        total = len(kept) + too_long
        print(f"r1ci: {too_long} of {total} {name} questions do not fit {room} tokens and were left out")
    if name == "train":  # OpenRLHF shuffles too, but only within an episode's dataloader
        random.Random(plan.recipe.seed).shuffle(kept)
    write_prompts(plan.folder.prompts(name), kept, template.prompt_text)
    print(f"r1ci: {len(kept)} {name} questions in {plan.folder.prompts(name)}", flush=True)


# -- the run ----------------------------------------------------------------------------------------------------------


def _train(plan: Plan) -> int:
    from rich.console import Console

    from r1ci_plugins.evaluation.before_after import before_after
    from r1ci_plugins.openrlhf_bridge.ray_session import ray_session
    from r1ci_plugins.run_folder import read_lines

    with ray_session(plan.cpu):
        _become_upstream("train_ppo", plan.argv)
    table = before_after(list(read_lines(plan.folder.evaluations)))
    console = Console()
    if table is not None:
        console.print(table)
    console.print(f"r1ci: model in {plan.folder.model}, everything else in {plan.folder.path}", soft_wrap=True)
    console.print(f"r1ci: curves: tensorboard --logdir '{plan.folder.tensorboard}'", soft_wrap=True)
    return 0
