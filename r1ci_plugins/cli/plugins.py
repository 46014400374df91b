"""``r1ci plugins``: what is installed, including what is broken."""

from __future__ import annotations

import typer

from r1ci_plugins.plugins import installed


def plugins() -> None:
    """List the installed plugins and task packs, and say what is wrong with the broken ones."""
    from rich.console import Console
    from rich.table import Table

    listing = installed()
    table = Table(box=None, pad_edge=False)
    for heading in ("kind", "name", "distribution", "version", "registers", "status"):
        table.add_column(heading, no_wrap=heading != "registers")
    for one in listing:
        origin = one.origin
        status = "[red]broken[/red]" if one.error else "ok"
        table.add_row(
            origin.kind, origin.name, origin.distribution, origin.version, "; ".join(one.registers) or "-", status
        )
    Console().print(table)
    broken = [one for one in listing if one.error]
    for one in broken:
        typer.secho(f"\n{one.error}", fg=typer.colors.RED, err=True)
    if broken:
        raise typer.Exit(1)
