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

from r1ci_plugins.cli.options import DEFAULT_PLUGINS, Json, PluginNames

if TYPE_CHECKING:
    from r1ci_plugins.sandbox.checks.attacks.attack import Attack
    from r1ci_plugins.sandbox.checks.bench import Bench, CheckResult
    from r1ci_plugins.sandbox.checks.promises.promise import Promise
    from r1ci_plugins.sandbox.contract import Sandbox

app = typer.Typer(no_args_is_help=True, help="Look at the sandbox that the model's programs run in.")
_COLOURS = {"held": typer.colors.GREEN, "broken": typer.colors.RED, "skipped": typer.colors.YELLOW}
_WORDS = {"held": "yes", "broken": "BROKEN", "skipped": "no"}


@app.callback()
def _group() -> None:
    """With one command alone, typer would drop its name."""


@app.command()
def check(
    backend: Annotated[str, typer.Option(help="The sandbox; a plugin's, too.")] = "firejail",
    option: Annotated[list[str] | None, typer.Option(help="KEY=VALUE of sandbox.options; may be repeated.")] = None,
    python: Annotated[str | None, typer.Option(help="Interpreter of the programs; default: this one.")] = None,
    plugin: PluginNames = DEFAULT_PLUGINS,
    attacks: Annotated[bool, typer.Option(help="Also run the attacks.")] = True,
    as_json: Json = False,
) -> None:
    """Print what isolates the model's programs and what does not, then prove it. Exits with 1 if something fails.

    The proofs are the contract suite and the attacks (r1ci_plugins/sandbox/checks), on this machine, as this user.
    They take a minute or two; after each, an ordinary program must still work. Attacks are not run if the canary finds
    something broken: they might signal all processes of this user and write to files of this machine.
    """
    make = _maker(plugin, backend, _options(option or []) | {"python": python})
    log = logging.getLogger("r1ci_plugins.sandbox")
    level = log.level
    log.setLevel(logging.ERROR)  # slots are broken here on purpose
    try:
        results = asyncio.run(_examine(make, attacks, as_json))
    finally:
        log.setLevel(level)
    if any(one.verdict.value == "broken" for one in results):
        raise typer.Exit(1)


def _options(pairs: Sequence[str]) -> dict[str, Any]:
    from r1ci_plugins.errors import RecipeError
    from r1ci_plugins.recipe import strict_yaml

    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise RecipeError(f"{pair!r} is not KEY=VALUE", where="--option", fix="for example --option preload=light")
        found[key], _ = strict_yaml.parse(value, "--option")
    return found


def _maker(plugins: Sequence[str], backend: str, given: dict[str, Any]) -> Callable[..., Sandbox]:
    """What makes sandboxes of this kind. It has the backend's signature, by which the checks know its options."""
    from r1ci_plugins.plugins.registry import load_plugins

    loaded = load_plugins(plugins)

    def make(**more: object) -> Sandbox:
        sandbox: Sandbox = loaded.make("sandboxes", backend, {"concurrency": None, **given, **more})
        return sandbox

    make(concurrency=1)  # a wrong name or option is told before anything starts
    vars(make)["__signature__"] = inspect.signature(loaded.sandboxes[backend])
    return make


async def _examine(make: Callable[..., Sandbox], with_attacks: bool, as_json: bool) -> list[CheckResult]:
    """Print what the canary sees, then run the suites and print what they find."""
    from r1ci_plugins.sandbox.checks.attacks import ATTACKS
    from r1ci_plugins.sandbox.checks.bench import opened
    from r1ci_plugins.sandbox.checks.promises import PROMISES

    async with opened(make, concurrency=2) as bench:
        results = await bench.canary_results()
        isolates = all(result.verdict.value != "broken" for result in results)
        if as_json:
            for result in results:
                _print_result("canary", result, as_json)
        else:
            _print_enforcements(bench, results)
        results += await _run(bench, "contract", PROMISES, as_json)
    if with_attacks and not isolates:
        typer.secho("attacks: not run, because without isolation they might harm this machine", err=True)
    elif with_attacks:
        async with opened(make, concurrency=1) as bench:  # the program after an attack must run in the same jail
            results += await _run(bench, "attacks", ATTACKS, as_json)
    return results


def _print_enforcements(bench: Bench, seen: Sequence[CheckResult]) -> None:
    typer.secho(f"{bench.sandbox.isolation}: what it enforces here, as the canary sees it", bold=True)
    for one in bench.enforcements(seen):
        typer.secho(f"  {_WORDS[one.verdict.value]:7s}", fg=_COLOURS[one.verdict.value], nl=False)
        typer.echo(f"{one.name:19s}{one.meaning}  {one.saw}".rstrip())
    typer.echo("Time, memory and output are limited by the kernel (rlimits), the watchdog and the host.")
    typer.secho("What it does not cover", bold=True)
    for words in getattr(bench.sandbox, "not_covered", ("(the backend does not say)",)):
        typer.echo(f"  - {words}")


async def _run(bench: Bench, suite: str, items: Sequence[Promise | Attack], as_json: bool) -> list[CheckResult]:
    from r1ci_plugins.report.progress import progress

    results = []
    with progress(keep=False) as bars:
        bar = bars.add_task(suite, total=len(items), detail="")
        for item in items:
            bars.update(bar, detail=item.name)
            results.append(await item.examine(bench))
            bars.advance(bar)
    if not as_json:
        counts = Counter(result.verdict.value for result in results)
        counted = ", ".join(f"{counts[word]} {word}" for word in _WORDS if counts[word])
        typer.secho(f"{suite}: {counted} of {len(results)}", bold=True)
    for result in results:
        if as_json or result.verdict.value != "held":
            _print_result(suite, result, as_json)
    return results


def _print_result(suite: str, result: CheckResult, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"suite": suite, **asdict(result)}))
    else:
        typer.secho(f"  {result.verdict.value:8s}", fg=_COLOURS[result.verdict.value], nl=False)
        typer.echo(f"{result.name}: {result.meaning} {result.saw}")
