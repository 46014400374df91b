"""``r1ci sandbox check``: what a sandbox enforces on this machine, by what, and the proofs."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from r1ci_plugins.sandbox.checks.attacks import Attack
    from r1ci_plugins.sandbox.checks.promises import Bench, Outcome, Promise
    from r1ci_plugins.sandbox.contract import Sandbox

app = typer.Typer(no_args_is_help=True, help="Look at the sandbox that the model's programs run in.")
_COLOURS = {"held": typer.colors.GREEN, "broken": typer.colors.RED, "skipped": typer.colors.YELLOW}


@app.callback()
def _group() -> None:
    """With one command alone, typer would drop its name."""


@app.command()
def check(
    backend: Annotated[str, typer.Option(help="The sandbox, a plugin's too.")] = "firejail",
    option: Annotated[list[str] | None, typer.Option(help="KEY=VALUE of sandbox.options; may be repeated.")] = None,
    python: Annotated[str | None, typer.Option(help="Interpreter of the programs; default: this one.")] = None,
    plugin: Annotated[list[str] | None, typer.Option(help="A plugin to load; default r1ci. Repeatable.")] = None,
    attacks: Annotated[bool, typer.Option(help="Also run the attacks.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line on standard output.")] = False,
) -> None:
    """Print what isolates the model's programs and what does not, then prove it. Exits with 1 if something fails.

    The proofs are the contract suite and the attacks (r1ci_plugins/sandbox/checks/promises.py, attacks.py), on this
    machine, as this user. They take a minute or two; each leaves an ordinary program working after it.
    """
    from r1ci_plugins.plugins.registry import load_plugins
    from r1ci_plugins.sandbox.checks.attacks import ATTACKS
    from r1ci_plugins.sandbox.checks.promises import PROMISES, Verdict

    logging.getLogger("r1ci_plugins.sandbox").setLevel(logging.ERROR)  # slots are broken here on purpose
    loaded = load_plugins(plugin or ["r1ci"])
    given = _options(option or []) | {"python": python}

    def make(**more: object) -> Sandbox:
        sandbox: Sandbox = loaded.make("sandboxes", backend, {"concurrency": None, **given, **more})
        return sandbox

    make(concurrency=1)  # a wrong name or option is told before anything starts
    vars(make)["__signature__"] = inspect.signature(loaded.sandboxes[backend])
    outcomes = asyncio.run(
        _examine(make, [("contract", PROMISES), *([("attacks", ATTACKS)] if attacks else [])], as_json)
    )
    if any(one.verdict is Verdict.BROKEN for one in outcomes):
        raise typer.Exit(1)


def _options(pairs: Sequence[str]) -> dict[str, Any]:
    import yaml

    from r1ci_plugins.errors import RecipeError

    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise RecipeError(f"{pair!r} is no KEY=VALUE", where="--option", fix="for example --option preload=light")
        found[key] = yaml.safe_load(value)
    return found


async def _examine(
    make: Callable[..., Sandbox], suites: Sequence[tuple[str, Sequence[Promise | Attack]]], as_json: bool
) -> list[Outcome]:
    """Print the isolation report, then run the suites and print what they find."""
    from r1ci_plugins.sandbox.checks.promises import opened

    found: list[Outcome] = []
    for place, (name, items) in enumerate(suites):
        # One program at a time for attacks: the one after each shall run where it ran.
        async with opened(make, concurrency=2 if name == "contract" else 1) as bench:
            if place == 0:
                found += await _report(bench, as_json)
            found += await _run(bench, name, items, as_json)
    return found


async def _report(bench: Bench, as_json: bool) -> list[Outcome]:
    """Print what the canary sees and what the sandbox says of itself; return the canary's checks as outcomes."""
    from r1ci_plugins.sandbox import canary
    from r1ci_plugins.sandbox.checks.promises import CLAIMS, Outcome, Verdict
    from r1ci_plugins.sandbox.jail import ENVIRONMENT

    enforcers = getattr(bench.sandbox, "enforcers", {})
    result = await bench.run(canary.program([], ["/", "/tmp", "/var/tmp", "/etc", "/usr", "/run/lock"]))
    outcomes = []
    for one in canary.judge(result.stdout, ENVIRONMENT):
        claimed = one.name in bench.claims
        verdict = Verdict.HELD if one.holds else Verdict.BROKEN if claimed else Verdict.SKIPPED
        outcomes.append(Outcome(one.name, canary.CHECKS[one.name], verdict, "" if one.holds else one.saw))
    if as_json:
        for outcome in outcomes:
            _line("canary", outcome, as_json)
        return outcomes
    typer.secho(f"{bench.sandbox.isolation}: what it enforces here, as the canary sees it", bold=True)
    for outcome in outcomes:
        word = "no" if outcome.verdict is Verdict.SKIPPED else "yes" if outcome.verdict is Verdict.HELD else "BROKEN"
        typer.secho(f"  {word:7s}", fg=_COLOURS[outcome.verdict], nl=False)
        by = f"  [{enforcers[outcome.name]}]" if outcome.name in enforcers else ""
        typer.echo(f"{outcome.name:19s}{outcome.meaning}{by if word == 'yes' else f'  ({outcome.saw})'}")
    for name in sorted(CLAIMS.keys() - canary.CHECKS.keys()):
        typer.secho(f"  {'yes' if name in bench.claims else 'no':7s}", nl=False)
        typer.echo(f"{name:19s}{CLAIMS[name]}" + (f"  [{enforcers[name]}]" if name in enforcers else ""))
    typer.echo("Time, memory and output limits are the kernel's (rlimits), the watchdog's and the host's.")
    typer.secho("What it does not cover", bold=True)
    for words in getattr(bench.sandbox, "not_covered", ("(the backend does not say)",)):
        typer.echo(f"  - {words}")
    return outcomes


async def _run(bench: Bench, suite: str, items: Sequence[Promise | Attack], as_json: bool) -> list[Outcome]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    outcomes = []
    columns = (TextColumn("{task.description:40.40s}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(suite, total=len(items))
        for item in items:
            progress.update(bar, description=f"{suite}: {item.name}")
            outcomes.append(await item.examine(bench))
            progress.advance(bar)
    counts = Counter(outcome.verdict.value for outcome in outcomes)
    if not as_json:
        counted = ", ".join(f"{counts[word]} {word}" for word in ("held", "broken", "skipped") if counts[word])
        typer.secho(f"{suite}: {counted} of {len(outcomes)}", bold=True)
    for outcome in outcomes:
        if as_json or outcome.verdict.value != "held":
            _line(suite, outcome, as_json)
    return outcomes


def _line(suite: str, outcome: Outcome, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"suite": suite, **asdict(outcome)}))
    else:
        typer.secho(f"  {outcome.verdict.value:8s}", fg=_COLOURS[outcome.verdict.value], nl=False)
        typer.echo(f"{outcome.name}: {outcome.meaning} {outcome.saw}")
