"""``testtime plan``: should I, how far, from where, with how many rows."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from testtime.cli.defaults import MAX_ROWS
from testtime.cli.output import echo_json, written
from testtime.errors import InputError, nearest, sentence

if TYPE_CHECKING:
    from testtime.results import Plan
    from testtime.theory.linear import Setting

_OPTIONS = {"n_context": "--n", "n_train": "--k", "dim": "--dim", "noise_var": "--noise"}
_WORDS = ("alignment", "spread", "context", "step")  # arguments whose names are words of a sentence as well
_OF_TABLE = ("target", "task", "backbone", "latency", "memory", "max_rows", "seed")
_OF_THEORY = ("n", "k", "dim", "noise", "alignment", "spread", "context", "step", "plot", "overwrite")
_ALIGNMENTS = {"aligned": 1.0, "even": 0.0, "opposed": -1.0}


def register(app: typer.Typer) -> None:
    """Add the subcommands of this file to `app`."""
    app.command("plan")(plan)


def plan(
    called: typer.Context,
    table: Annotated[
        Path | None,
        typer.Argument(help="Training table, for a forecast of what adapting brings; - is standard input."),
    ] = None,
    target: Annotated[str | None, typer.Option(metavar="COL", help="Of the table: what to predict.")] = None,
    task: Annotated[str, typer.Option(help="Of the table: classify, regress or auto.")] = "auto",
    backbone: Annotated[str, typer.Option(help="Of the table: as in testtime adapt.")] = "embedded",
    latency: Annotated[
        float | None, typer.Option(help="Of the table: seconds that a predicted row may take.")
    ] = None,
    memory: Annotated[float | None, typer.Option(help="Of the table: bytes that a context may take.")] = None,
    max_rows: Annotated[int, typer.Option(help="Of the table: rows to use at most.")] = MAX_ROWS,
    seed: Annotated[int, typer.Option(help="Of the table: seed of every random choice.")] = 0,
    n: Annotated[int | None, typer.Option("--n", help="Of the theory: rows in the context.")] = None,
    k: Annotated[int | None, typer.Option("--k", help="Of the theory: labelled rows to train on.")] = None,
    dim: Annotated[int | None, typer.Option("--dim", help="Of the theory: inputs.")] = None,
    noise: Annotated[float, typer.Option("--noise", help="Noise variance over signal variance.")] = 0.0,
    alignment: Annotated[
        str | None,
        typer.Option(
            help="Test task against uneven pretraining tasks: aligned, even, opposed, or a number from "
            "-1 to 1. Without it all tasks are isotropic."
        ),
    ] = None,
    spread: Annotated[
        float, typer.Option(help="With --alignment: pretraining variances from 1 - spread to 1 + spread.")
    ] = 0.8,
    context: Annotated[
        str, typer.Option(help="fresh: judged on new contexts; same: on the one trained with.")
    ] = "fresh",
    step: Annotated[
        str, typer.Option(help="fixed: one rate for all contexts; normalized: divided by |X'y|^2.")
    ] = "fixed",
    plot: Annotated[Path | None, typer.Option(help="Draw risk against k to this .png or .svg file.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="With --plot: replace a file that is there.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what adapting is worth: of a table, or of linear attention from exact theory.

    With a table and its target, the gain of adapting is forecast from the frozen model, before any
    training. Without one, --n, --k and --dim describe a linear task, and the value of one step is exact.

    Risks of a linear task are mean squared errors relative to the variance of the noise-free label, which
    is 1. Steps are rates on the sum of squared errors. In JSON "inf" says that the better start never
    changes, or that no context is long enough.
    """
    if table is not None:
        _check_alone(called, _OF_THEORY, "a table", "the theory of a linear task takes these")
        if target is None:
            raise InputError(sentence("a table without --target", expected="the column to predict"))
        from testtime.cli.plan_tables import plan_file

        plan_file(table, target, task, backbone, latency, memory, max_rows, seed, as_json=as_json)
        return
    _check_alone(called, _OF_TABLE, "no table", "these are about one")
    if n is None or k is None or dim is None:
        missing = [name for name, value in (("--n", n), ("--k", k), ("--dim", dim)) if value is None]
        remedy = "Pass them, or a table and --target"
        raise InputError(sentence(f"no table, and no {', '.join(missing)}", remedy=remedy))
    if alignment is None and written(called, ("spread",)):
        raise InputError(
            sentence(
                "--spread without --alignment",
                why="without an alignment all tasks are isotropic",
                remedy="Pass --alignment aligned, even, opposed or a number",
            )
        )
    if plot is not None:
        _check_plot(plot, overwrite=overwrite)

    from testtime.theory.plan import plan as theory_plan
    from testtime.theory.plan import unit_setting

    try:
        setting = unit_setting(n, k, dim, noise, _alignment(alignment), spread)
        answer = theory_plan(setting, context, step)
    except InputError as error:
        raise InputError(_in_own_options(str(error))) from error
    if plot is not None:
        _draw(setting, answer, context, step, plot)
    if as_json:
        given = {"n_context": n, "n_train": k, "dim": dim, "noise_var": noise}
        given |= {"alignment": alignment, "spread": spread, "context": context, "step": step}
        echo_json({"setting": given, **answer.to_dict()})
        return
    typer.echo(f"{n:,} context rows, {k:,} training rows, {dim:,} inputs, noise {noise:g} of the signal")
    for line in answer.explain():
        typer.echo(f"  {line}")


def _check_plot(plot: Path, *, overwrite: bool) -> None:
    """Raise before anything is computed when the drawing could not be written."""
    if plot.suffix.lower() not in (".png", ".svg"):
        raise InputError(sentence(f"--plot {plot}", expected="a name that ends in .png or .svg"))
    from testtime.store.places import as_place, refuse_inside, refuse_output

    refuse_inside(plot)
    if as_place(plot).parent.is_dir():  # else it is made
        refuse_output(plot, overwrite=overwrite)


def _check_alone(called: typer.Context, names: tuple[str, ...], what: str, why: str) -> None:
    """Raise InputError when options of the other half of this command were written."""
    given = written(called, names)
    if given:
        remedy = "Pass a table and its options, or those of the theory"
        raise InputError(sentence(f"{what} together with {', '.join(given)}", why=why, remedy=remedy))


def _in_own_options(text: str) -> str:
    """A message of the theory with the options of this command in the place of its arguments."""
    for name, option in _OPTIONS.items():
        text = re.sub(rf"\b{name}=", f"{option} ", text)
        text = re.sub(rf"(?<!-)\b{name}\b", option, text)
    text = re.sub(r"Drop or replace them in [\w-]+\.$", "Pass another number.", text)
    for name in _WORDS:
        text = re.sub(rf"\b{name}=", f"--{name} ", text)
    return text


def _alignment(given: str | None) -> float | None:
    if given is None or given in _ALIGNMENTS:
        return None if given is None else _ALIGNMENTS[given]
    try:
        return float(given)
    except ValueError:
        raise InputError(
            sentence(
                f"--alignment {given}",
                expected="aligned, even, opposed, or a number from -1 to 1",
                remedy=nearest(given, _ALIGNMENTS),
            )
        ) from None


def _draw(setting: Setting, answer: Plan, context: str, step: str, path: Path) -> None:
    """Draw the best risk against the number of training rows from both starts."""
    import numpy as np

    from testtime.report import plots
    from testtime.scale.files import write_atomic
    from testtime.theory.linear import one_step

    flip = answer.transition.n_train
    marks = [value for value in (setting.n_train, flip, setting.dim) if 0 < value < math.inf]
    trains = np.geomspace(max(1.0, min(marks) / 10), 10 * max(marks), 200)
    with plots.house_style():
        figure, (axes,) = plots.new_figure(width=6.0, height=4.2)
        starts = {"warm": "W* (warm)", "cold": "0 (cold)"}
        shades = plots.colours(len(starts))
        for start, colour in zip(starts, shades, strict=True):
            probe = one_step(setting.replace(n_train=1), start, context, step)
            risks = probe.risk_before - probe.limit_gain * trains / (trains + probe.half_train)
            plots.draw_exact(axes, trains, risks, colour=colour)
        plots.level(axes, answer.risk_now)
        if setting.n_train > 0:
            plots.mark(axes, setting.n_train, f"k = {setting.n_train:,}")
        if 0 < flip < math.inf:
            side = "left" if flip < setting.n_train else "right"
            plots.mark(axes, flip, f"flips at {flip:.0f}", dashed=True, side=side)
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        plots.parameter_legend(axes, "start", list(starts.values()), shades, loc="lower left")
        title = f"n = {setting.n_context:,}, d = {setting.dim:,}, noise {setting.noise_var:g}"
        plots.name_axes(axes, x="training rows, k", y="risk after one step / signal", title=title)
        source = f"theory, exact: best {step} step, {context} context; one_step in docs/theory/linear"
        plots.explain(figure, [("exact", source), ("reference", "in-context learning, no training")])
        write_atomic(path, plots.figure_bytes(figure, title)[path.suffix.lower().lstrip(".")])
