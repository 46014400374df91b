"""``r1ci plugins``: what is installed, including what is broken."""

import typer

from r1ci_plugins.plugins.registry import installed


def plugins() -> None:
    """List the installed plugins and task packs, and say what is wrong with the broken ones."""
    from rich.console import Console
    from rich.table import Table

    listing = installed()
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "kind", "from", "status"):
        table.add_column(heading, no_wrap=True)
    table.add_column("registers", overflow="fold")
    for one in listing:
        origin = one.origin
        status = "[red]broken[/red]" if one.error else "ok"
        source = f"{origin.distribution} {origin.version}"
        table.add_row(origin.name, origin.kind, source, status, "\n".join(one.registers) or "-")
    Console().print(table)
    broken = [one for one in listing if one.error]
    for one in broken:
        typer.secho(f"\n{one.error}", fg=typer.colors.RED, err=True)
    if broken:
        raise typer.Exit(1)
