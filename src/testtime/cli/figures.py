"""``testtime figure``: redraw a figure and check its claims."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from testtime.cli.output import check_folder, check_least, echo_json
from testtime.errors import InputError, sentence

if TYPE_CHECKING:
    from testtime.experiments.figure import FigureResult


def register(app: typer.Typer) -> None:
    """Add the subcommands of this file to `app`."""
    app.command()(figure)


def figure(
    name: Annotated[str | None, typer.Argument(help="Name of the figure; --list shows all.")] = None,
    list_all: Annotated[bool, typer.Option("--list", help="List the figures and stop.")] = False,
    draw_all: Annotated[bool, typer.Option("--all", help="Draw every figure.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for tables, drawings and manifests.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="The small setting: seconds to a few minutes.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Root seed instead of the figure's own.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Cells computed at once; default one per core.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Redraw a figure of the papers and check what it claims.

    Writes a table, SVG and PNG, the claims, and a manifest of versions, seeds and hashes. Finished cells
    are kept, so that a stopped run goes on where it ended. Exit code 0: every claim holds; 1: a claim
    fails.
    """
    from testtime.experiments import registry

    if list_all:
        _print_list(as_json)
        return
    if (name is None) == (not draw_all):
        raise InputError(
            sentence(
                "no figure was named" if name is None else f"both {name!r} and --all were given",
                expected="one figure, or --all",
                remedy="Run `testtime figure --list` to see the names",
            )
        )
    wanted = registry.names() if name is None else (name,)
    figures = [registry.find(one) for one in wanted]
    if out is None:
        raise InputError(sentence("--out is missing", expected="a folder", remedy="Add --out figures"))
    check_folder(out)
    for one in figures:
        check_folder(out / one.name / "cells")
    if seed is not None:
        check_least("--seed", seed, 0)

    from testtime.experiments.figure import run

    results = []
    for one in figures:
        config = one.config.quick() if quick else one.config()
        if seed is not None:
            config = dataclasses.replace(config, seed=seed)
        try:
            results.append(run(one, config, out, n_jobs=jobs if jobs is not None else os.cpu_count() or 1))
        except KeyboardInterrupt:
            sys.stderr.write("testtime: interrupted; finished cells are kept, the same command goes on.\n")
            raise typer.Exit(1) from None
        if not as_json:
            typer.echo(_summary(results[-1]))
    if as_json:
        told = [result.to_dict() for result in results]
        echo_json(told[0] if name is not None else {"figures": told})
    failed = [
        (result.name, claim.statement) for result in results for claim in result.claims if not claim.holds
    ]
    for one_name, statement in failed:
        sys.stderr.write(f"testtime: a claim of figure {one_name!r} does not hold: {statement}\n")
    if failed:
        raise typer.Exit(1)


def _print_list(as_json: bool) -> None:
    from testtime.experiments.registry import registry

    known = registry()
    if as_json:
        told = [{"name": key, "title": one.title, "source": one.source} for key, one in known.items()]
        echo_json({"figures": told})
        return
    width = max(map(len, known))
    for key, one in known.items():
        typer.echo(f"{key:<{width}}  {one.title} [{one.source}]")


def _summary(result: FigureResult) -> str:
    """Return a few lines: the claims with their numbers, the time, and where the drawing lies."""
    lines = [
        f"{result.name}: {result.n_computed} of {result.n_cells} cells computed in {result.seconds:.1f} s"
    ]
    for claim in result.claims:
        verdict = "holds" if claim.holds else "FAILS"
        lines.append(
            f"  {verdict}  {claim.statement}  (measured {claim.value:.4g}, bound {claim.threshold:.4g})"
        )
    lines.append(f"  drawing: {result.paths['svg']}")
    return "\n".join(lines)
