"""``testtime figure``: redraw a figure and check its claim."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the subcommands of this file to `app`."""
