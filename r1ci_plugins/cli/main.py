"""``r1ci``: everything that OpenRLHF has no command for."""

import sys
from typing import Annotated

import typer

from r1ci_plugins import __version__
from r1ci_plugins.cli import (
    compare,
    curriculum,
    data,
    doctor,
    evaluate,
    mask,
    packs,
    plugins,
    recipe,
    run,
    sandbox,
    synthesize,
    tasks,
)
from r1ci_plugins.errors import R1CIError

app = typer.Typer(
    name="r1ci",
    help="Teach a language model to reason with code, on the OpenRLHF trainer.\n\n"
    "Training itself is OpenRLHF's: [bold]openrlhf.cli.train_ppo --plugin r1ci --recipe FILE[/bold] "
    "(add --dry-run to see what it would do). The commands here look at everything around it; start with "
    "[bold]r1ci doctor[/bold].",
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("doctor")(doctor.doctor)
app.command("plugins")(plugins.plugins)
app.command("validate")(packs.validate)
app.command("new-pack")(packs.new_pack)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("run")(run.run)
app.command("synthesize")(synthesize.synthesize)
app.add_typer(curriculum.app, name="curriculum")
app.add_typer(data.app, name="data")
app.add_typer(mask.app, name="mask")
app.add_typer(recipe.app, name="recipe")
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(tasks.app, name="tasks")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"r1ci-plugins {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """The console script. An error of ours is a message on stderr and exit status 2, never a traceback."""
    try:
        app()
    except R1CIError as error:
        typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
        sys.exit(2)
