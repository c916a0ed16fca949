"""``testtime plan``: should I, how far, from where, with how many rows."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the subcommands of this file to `app`."""
