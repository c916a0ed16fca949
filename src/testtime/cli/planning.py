"""``testtime plan``: should I, how far, from where, with how many rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from testtime.errors import InputError, nearest, sentence

if TYPE_CHECKING:
    from testtime.theory.linear import Setting

_ALIGNMENTS = ("isotropic", "aligned", "even", "opposed")


def register(app: typer.Typer) -> None:
    """Add the subcommands of this file to `app`."""
    app.command()(plan)


def plan(
    n: Annotated[int, typer.Option("--n", help="Rows in the context.")],
    k: Annotated[int, typer.Option("--k", help="Labelled rows to train on.")],
    dim: Annotated[int, typer.Option("--dim", help="Inputs.")],
    noise: Annotated[float, typer.Option("--noise", help="Noise variance over signal variance.")] = 0.0,
    alignment: Annotated[
        str,
        typer.Option(help="Pretraining tasks: isotropic; or uneven, the test task aligned, even, opposed."),
    ] = "isotropic",
    spread: Annotated[
        float, typer.Option(help="Uneven pretraining tasks: variances from 1 - spread to 1 + spread.")
    ] = 0.8,
    context: Annotated[
        str, typer.Option(help="fresh: judged on new contexts; same: on the one trained with.")
    ] = "fresh",
    step: Annotated[
        str, typer.Option(help="fixed: one rate for all contexts; normalized: divided by |X'y|^2.")
    ] = "fixed",
    plot: Annotated[Path | None, typer.Option(help="Draw risk against k to this .png or .svg file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what one step of test-time training is worth for linear attention, from exact theory.

    Risks are mean squared errors relative to the variance of the noise-free label, which is 1.
    """
    setting = _setting(n, k, dim, noise, alignment, spread)
    answer = _answer(setting, context, step)
    answer["setting"] |= {"alignment": alignment, "spread": 0.0 if alignment == "isotropic" else spread}
    if plot is not None:
        _draw(setting, answer, context, step, plot)
    if as_json:
        from testtime.experiments.manifest import strict_json

        typer.echo(strict_json(answer).decode(), nl=False)
    else:
        typer.echo(_sentences(answer))


def _setting(n: int, k: int, dim: int, noise: float, alignment: str, spread: float) -> Setting:
    """Return the setting with a test task of unit signal and pretraining tasks of the same mean signal."""
    if alignment not in _ALIGNMENTS:
        raise InputError(
            sentence(
                f"--alignment {alignment}",
                expected=", ".join(_ALIGNMENTS),
                remedy=nearest(alignment, _ALIGNMENTS),
            )
        )
    if not 0.0 <= spread < 1.0:
        raise InputError(
            sentence(f"--spread {spread:g}", expected="at least 0 and below 1", why="variances are positive")
        )
    for name, value, least in (("--n", n, 0), ("--k", k, 0), ("--dim", dim, 1)):
        if value < least:
            raise InputError(sentence(f"{name} {value}", expected=f"at least {least}"))

    import numpy as np

    from testtime.theory.linear import Setting

    if alignment == "isotropic":
        return Setting(n, k, dim=dim, task_cov=1.0 / dim, task=1.0, noise_var=noise)
    spectrum = np.linspace(1.0 - spread, 1.0 + spread, dim) if dim > 1 else np.ones(1)
    squares = {"aligned": spectrum, "even": np.ones(dim), "opposed": spectrum[::-1]}[alignment]
    return Setting(n, k, task_cov=spectrum / dim, task=np.sqrt(squares / dim), noise_var=noise)


def _answer(setting: Setting, context: str, step: str) -> dict[str, Any]:
    """Return everything the command says, as plain values."""
    from testtime.theory.linear import best_scaled_start, icl_risk, one_step, start_transition

    warm, cold = (one_step(setting, start, context, step) for start in ("warm", "cold"))
    better, best = ("warm", warm) if warm.best_risk <= cold.best_risk else ("cold", cold)
    scaled = best_scaled_start(setting, context, step)
    change = start_transition(setting, context, step)
    now = float(icl_risk(setting))
    alone = _context_alone(setting, best.best_risk)
    return {
        "setting": {
            "n_context": setting.n_context,
            "n_train": setting.n_train,
            "dim": setting.dim,
            "noise_var": setting.noise_var,
            "context": context,
            "step": step,
        },
        "risk_now": now,
        "start": better,
        "best_step": best.best_step,
        "best_length": best.best_length,
        "risk_after": best.best_risk,
        "gain": now - best.best_risk,
        "warm": {"risk_after": warm.best_risk, "best_step": warm.best_step},
        "cold": {"risk_after": cold.best_risk, "best_step": cold.best_step},
        "scaled": {"scale": scaled.scale, "risk_after": scaled.risk},
        "transition": change.to_dict(),
        "context_without_training": alone,
        "context_factor": alone / setting.n_context if setting.n_context else math.inf,
        "assumptions": _assumptions(context, step),
    }


def _context_alone(setting: Setting, target: float) -> float:
    """Return the context with which in-context learning alone reaches a risk, W* retrained for each length.

    That risk falls with every row, unlike the risk after a step, so bisection finds the only crossing.
    """
    from testtime.theory.linear import icl_risk

    def reached(length: int) -> bool:
        return float(icl_risk(setting.replace(n_context=length))) <= target * (1.0 + 1e-12)

    high = 1
    while not reached(high):
        high *= 2
        if high > 2**40:
            return math.inf
    low = high // 2 if high > 1 else -1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def _assumptions(context: str, step: str) -> list[str]:
    judged = {
        "fresh": "the trained weight is judged on new contexts of the same task, as in the paper",
        "same": "the trained weight is judged on the very context it was trained with",
    }[context]
    rate = {
        "fixed": "one rate for all contexts",
        "normalized": "the rate is divided by the squared norm of X'y of the context",
    }[step]
    return [
        "one layer of linear attention, pretrained to the optimum for this context length",
        "Gaussian inputs with unit covariance, linear labels of unit signal variance, Gaussian noise",
        "one gradient step on the sum of squared errors over the training rows; " + rate,
        judged,
    ]


def _sentences(answer: dict[str, Any]) -> str:
    """Return the answer as a few lines a person reads."""
    setting, warm, cold = answer["setting"], answer["warm"], answer["cold"]
    share = answer["gain"] / answer["risk_now"]
    start = {"warm": "the pretrained weight (warm)", "cold": "zero (cold)"}[answer["start"]]
    scale, scaled = answer["scaled"]["scale"], answer["scaled"]["risk_after"]
    better = f"{scale:.3g} times the pretrained weight reaches {scaled:.4g}"
    if scaled >= answer["risk_after"] * (1.0 - 1e-6):
        better = "no other multiple of the pretrained weight is a better start"
    told = {
        "risk now": f"{answer['risk_now']:.4g}, in-context learning without training",
        "risk after": f"{answer['risk_after']:.4g}, {share:.1%} lower" if share > 0 else "the same: no gain",
        "best step": f"{answer['best_step']:.4g}, rate on the sum of squared errors",
        "start": f"{start}; warm reaches {warm['risk_after']:.4g}, cold {cold['risk_after']:.4g}",
        "it flips": _flip(answer["transition"]),
        "better still": better,
        "without it": _alone(answer),
    }
    return "\n".join(
        [
            f"{setting['n_context']:,} context rows, {setting['n_train']:,} training rows, "
            f"{setting['dim']:,} inputs, noise {setting['noise_var']:g} of the signal",
            *(f"  {name:<14}{text}" for name, text in told.items()),
            "This holds for:",
            *(f"  - {line}" for line in answer["assumptions"]),
        ]
    )


def _flip(change: dict[str, Any]) -> str:
    below, above, crossings = change["below"], change["above"], change["crossings"]
    if not crossings:
        return f"never: {below} is better for every number of training rows"
    if len(crossings) == 1:
        return f"at k = {crossings[0]:.1f} training rows: {below} is better below, {above} above"
    other = "cold" if below == "warm" else "warm"
    return f"{other} is better from k = {crossings[0]:.1f} to {crossings[1]:.1f}, {below} elsewhere"


def _alone(answer: dict[str, Any]) -> str:
    alone = answer["context_without_training"]
    if math.isinf(alone):
        return "no context of any length reaches that risk"
    if math.isinf(answer["context_factor"]):
        return f"the same risk needs {alone:,} context rows"
    return f"the same risk needs {alone:,} context rows ({answer['context_factor']:.2f} times as many)"


def _draw(setting: Setting, answer: dict[str, Any], context: str, step: str, path: Path) -> None:
    """Draw the best risk against the number of training rows from the three starts."""
    kind = path.suffix.lower().lstrip(".")
    if kind not in ("png", "svg"):
        raise InputError(sentence(f"--plot {path}", expected="a name that ends in .png or .svg"))

    import numpy as np

    from testtime.experiments.manifest import write_atomic
    from testtime.report import plots
    from testtime.theory.linear import one_step

    flip = answer["transition"]["n_train"]
    marks = [value for value in (setting.n_train, flip, setting.dim) if 0 < value < math.inf]
    trains = np.geomspace(max(1.0, min(marks) / 10), 10 * max(marks), 200)
    with plots.house_style():
        figure, (axes,) = plots.new_figure(width=6.0, height=4.2)
        starts = (("warm", "W* (warm)"), ("cold", "0 (cold)"))
        shades = plots.colours(len(starts))
        for (start, _), colour in zip(starts, shades, strict=True):
            probe = one_step(setting.replace(n_train=1), start, context, step)
            risks = probe.risk_before - probe.limit_gain * trains / (trains + probe.half_train)
            plots.draw_exact(axes, trains, risks, colour=colour)
        plots.level(axes, answer["risk_now"])
        if setting.n_train > 0:
            plots.mark(axes, setting.n_train, f"k = {setting.n_train:,}")
        if 0 < flip < math.inf:
            side = "left" if flip < setting.n_train else "right"
            plots.mark(axes, flip, f"flips at {flip:.0f}", dashed=True, side=side)
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        plots.parameter_legend(axes, "start", [name for _, name in starts], shades, loc="lower left")
        title = f"n = {setting.n_context:,}, d = {setting.dim:,}, noise {setting.noise_var:g}"
        plots.name_axes(axes, x="training rows, k", y="risk after one step / signal", title=title)
        plots.explain(
            figure,
            [
                (
                    "exact",
                    f"theory, exact: best {step} step, {context} context; one_step in docs/theory/linear",
                ),
                ("reference", "in-context learning, no training"),
            ],
        )
        write_atomic(path, plots.figure_bytes(figure, title)[kind])
