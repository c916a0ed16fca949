"""``testtime pretrain``: train an in-context GPT-2 on synthetic tasks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from testtime.cli.output import check_folder, echo_json
from testtime.errors import InputError, sentence


def register(app: typer.Typer) -> None:
    """Add the subcommands of this file to `app`."""
    app.command()(pretrain)


def pretrain(
    name: Annotated[
        str | None, typer.Argument(help="A recipe, such as gpt2-links; --list shows all.")
    ] = None,
    list_all: Annotated[bool, typer.Option("--list", help="List the recipes and stop.")] = False,
    config: Annotated[Path | None, typer.Option(help="A TOML file instead of a recipe.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A run of a minute, to see that it works.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...; on cuda products run in bfloat16.")] = "cpu",
    out: Annotated[Path | None, typer.Option(help="Folder of the model, its log and its checkpoint.")] = None,
    half: Annotated[bool, typer.Option("--half", help="Store the model in float16, half the size.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Pretrain an in-context GPT-2 on synthetic tasks.

    Interrupted or killed, the same command goes on from the last checkpoint and ends with the same weights.
    """
    from testtime.experiments.in_context.recipes import Recipe, shipped_recipes

    if list_all:
        if as_json:
            echo_json({"recipes": list(shipped_recipes())})
        else:
            typer.echo("\n".join(shipped_recipes()))
        return
    if name is not None and config is None:
        recipe = Recipe.load(name)
    elif config is not None and name is None:
        recipe = Recipe.read(config)
    else:
        raise InputError(
            sentence(
                "no recipe was named" if name is None else f"both {name!r} and --config were given",
                expected="a recipe or a file",
                remedy="Run `testtime pretrain --list` to see the recipes",
            )
        )
    if out is None:
        raise InputError(sentence("--out is missing", expected="a folder", remedy="Add --out model"))
    check_folder(out)

    from testtime.experiments.in_context.pretrain import pretrain as run

    try:
        made = run(recipe.quick() if quick else recipe, out, device=device, half=half, progress=not as_json)
    except KeyboardInterrupt:
        sys.stderr.write("testtime: interrupted; the same command goes on from the last checkpoint.\n")
        raise typer.Exit(1) from None
    if as_json:
        echo_json(made.to_dict())
    else:
        typer.echo(f"{made.steps:,} steps in {made.seconds:,.0f} s on {made.device}, loss {made.loss:.4f}")
        typer.echo(f"{made.n_parameters:,} parameters in {made.folder}")
