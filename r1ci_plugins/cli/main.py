"""``r1ci``: everything that OpenRLHF has no command for."""

import sys
from typing import Annotated

import typer
from typer.core import TyperOption

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
from r1ci_plugins.errors import readable

app = typer.Typer(
    name="r1ci",
    help="Teach a language model to reason with code, on the OpenRLHF trainer.\n\n"
    "Training itself is OpenRLHF's: [bold]openrlhf.cli.train_ppo --plugin r1ci --recipe FILE[/bold] "
    "(add --dry-run to see what it would do). The commands here look at everything around it; start with "
    "[bold]r1ci doctor[/bold].",
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
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


def _leave_out_types_of_flags() -> None:
    """A flag takes no value: its help says nothing of a <bool>."""
    shown = getattr(TyperOption, "display_type_rich", None)
    if shown is not None:  # typer before 0.27 does so by itself
        setattr(TyperOption, "display_type_rich", lambda self, ctx: None if self.is_flag else shown(self, ctx=ctx))  # noqa: B010


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"r1ci-plugins {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show an error's traceback; in any place.")] = False,
) -> None:
    """``--debug`` is taken out of the arguments before they are parsed; here it is only described."""


def main() -> None:
    """The console script. Whatever goes wrong is a message on stderr and exit status 2, with --debug a traceback."""
    debug = "--debug" in sys.argv[1:]
    sys.argv[1:] = [argument for argument in sys.argv[1:] if argument != "--debug"]  # wherever it stands
    _leave_out_types_of_flags()
    try:
        app()
    except Exception as error:
        if debug:
            raise
        typer.secho(f"error: {readable(error)}", fg=typer.colors.RED, err=True)
        sys.exit(2)
