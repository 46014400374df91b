"""``r1ci recipe``: look at recipes without running them, and write new ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r1ci_plugins.cli.options import DEFAULT_PLUGINS, NO_OVERRIDES, Overrides, PluginNames

if TYPE_CHECKING:
    from r1ci_plugins.environment import Command
    from r1ci_plugins.recipe.new_recipe import NewRecipe

app = typer.Typer(help="List, write, check and show recipes, or print their JSON schema.", no_args_is_help=True)

RecipeFile = Annotated[Path, typer.Argument(metavar="FILE", help="A YAML file, or r1ci:NAME for one of the package.")]


@app.command("list")
def list_recipes() -> None:
    """List the recipes of the package: use one as --recipe r1ci:NAME, or copy it by `r1ci recipe new --from NAME`."""
    from r1ci_plugins.recipe.library import PREFIX, described
    from r1ci_plugins.report.tables import print_table

    print_table(("recipe", "about"), [(PREFIX + one.name, one.about) for one in described()], heads_in_lines=False)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The new recipe's name; it becomes NAME.yaml.")],
    model: Annotated[str | None, typer.Option(help="Model folder or Hugging Face hub name.")] = None,
    gpus: Annotated[
        str | None, typer.Option(metavar="8x80", help="8 GPUs of 80 GB; 2x8x80 for two nodes; cpu for none.")
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option(metavar="PACK/TASK,...", help="Names or patterns such as bbh/*, or default: the paper's suite."),
    ] = None,
    algorithm: Annotated[
        str | None, typer.Option(help="grpo, dr_grpo, rloo, reinforce++, reinforce++-baseline, ppo or sft.")
    ] = None,
    origin: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="Copy a recipe of the package instead.")
    ] = None,
    folder: Annotated[Path, typer.Option("--dir", help="The folder in which to write it.")] = Path(),
) -> None:
    """Write a recipe to start from: commented, sized for the GPUs, and checked. On a terminal it asks.

    Without a terminal, what is not given is Qwen/Qwen2.5-3B-Instruct, 8x80, the default suite and grpo.
    """
    from r1ci_plugins.rollout.run_folder import writing
    from r1ci_plugins.rollout.whole_file import write_whole

    file = _free_place(name, folder)
    if origin is not None:
        text, command = _copied(origin, file), f"r1ci recipe check {file}"
    else:
        wanted = _wanted(file, model=model, gpus=gpus, tasks=tasks, algorithm=algorithm)
        text, planned = wanted.text(), f" --for {wanted.planned}" if wanted.planned else ""
        command = f"openrlhf.cli.{wanted.command} --plugin r1ci --recipe {file} --dry-run{planned}"
        _check_text(text, wanted)
    with writing(file, "the recipe", "free some space, or choose another folder with --dir"):
        write_whole(file, text.encode())
    typer.echo(f"made {file}; next:\n  {command}")


def _free_place(name: str, folder: Path) -> Path:
    """The new file; RecipeError if it exists."""
    from r1ci_plugins.errors import RecipeError

    file = folder / (name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    if file.exists():
        raise RecipeError(f"{file} exists already", fix="choose another name, or another folder with --dir")
    return file


def _copied(origin: str, file: Path) -> str:
    """A recipe of the package as a file of the user's own: its header's commands and its folder get the new name."""
    from r1ci_plugins.recipe.library import PREFIX, find

    source = find(PREFIX + origin.removeprefix(PREFIX))
    text = source.read_text(encoding="utf-8").replace(f"recipes/{source.name}", str(file))
    return text.replace(f"output_dir: runs/{source.stem}\n", f"output_dir: runs/{file.stem}\n")


def _wanted(file: Path, *, model: str | None, gpus: str | None, tasks: str | None, algorithm: str | None) -> NewRecipe:
    """What is given, and answers to what is not."""
    from r1ci_plugins.errors import RecipeError, suggest
    from r1ci_plugins.recipe.new_recipe import ALGORITHMS, NewRecipe
    from r1ci_plugins.trainers.openrlhf.machine import read_machine

    model = model or _ask("model (folder or hub name)", "Qwen/Qwen2.5-3B-Instruct")
    gpus = gpus or _ask("GPUs (8x80 is 8 of 80 GB, 2x8x80 two such nodes, or cpu)", "8x80")
    algorithm = algorithm or _ask(f"algorithm ({', '.join(ALGORITHMS)})", "grpo")
    if algorithm != "sft":
        tasks = tasks or _ask("tasks (default, or names such as bbh/*,symbench/game24)", "default")
    if algorithm not in ALGORITHMS:
        raise RecipeError(
            f"there is no algorithm {algorithm!r}", where="--algorithm", fix=suggest(algorithm, ALGORITHMS)
        )
    machine = None if gpus == "cpu" else read_machine(gpus, option="--gpus")
    return NewRecipe(
        file=file,
        model=model,
        tasks=[name.strip() for name in (tasks or "").split(",") if name.strip() not in ("", "default")],
        algorithm=algorithm,
        nodes=machine.nodes if machine else 1,
        gpus=machine.gpus_per_node if machine else 0,
        planned=gpus if machine else "",
    )


def _ask(question: str, default: str) -> str:
    if not sys.stdin.isatty():
        return default
    answer: str = typer.prompt(question, default=default)
    return answer


def _check_text(text: str, wanted: NewRecipe) -> None:
    """Everything that a dry run checks, but for what the other machine has."""
    from r1ci_plugins.environment import prepare
    from r1ci_plugins.recipe import strict_yaml
    from r1ci_plugins.recipe.loading import validate_recipe
    from r1ci_plugins.trainers.openrlhf.machine import read_machine
    from r1ci_plugins.trainers.openrlhf.sizes import check_sizes

    data, lines = strict_yaml.parse(text, str(wanted.file))
    recipe = validate_recipe(data, str(wanted.file), lines)
    command: Command = "train_sft" if wanted.command == "train_sft" else "train_ppo"
    prepared = prepare(recipe, plugins=DEFAULT_PLUGINS, command=command, cpu=not wanted.gpus)
    prepared.findings()
    if not prepared.unchecked:
        check_sizes(prepared, read_machine(wanted.planned) if wanted.planned else None)


@app.command()
def schema() -> None:
    """Print the JSON schema of recipes, for editors: `r1ci recipe schema > recipe.schema.json`."""
    from r1ci_plugins.runs.stages import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


@app.command()
def show(file: RecipeFile, overrides: Overrides = NO_OVERRIDES) -> None:
    """Print a recipe with every default filled in and every --set applied. A staged one is shown stage by stage."""
    from r1ci_plugins.recipe.loading import dump
    from r1ci_plugins.runs.stages import recipes_of

    for name, recipe, _ in recipes_of(file, overrides):
        if name:
            typer.echo(f"--- # stage {name}")
        typer.echo(dump(recipe), nl=False)


@app.command()
def check(file: RecipeFile, overrides: Overrides = NO_OVERRIDES, plugins: PluginNames = DEFAULT_PLUGINS) -> None:
    """Check all that can be checked without starting: keys, plugins, packs, tasks, options, OpenRLHF's flags."""
    from r1ci_plugins.environment import prepare
    from r1ci_plugins.runs.stages import recipes_of

    for name, recipe, command in recipes_of(file, overrides):
        for line in prepare(recipe, plugins=plugins, command=command).findings():
            typer.echo(f"{name}: {line}" if name else line)
    typer.secho("ok", fg=typer.colors.GREEN)
