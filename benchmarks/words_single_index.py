"""The tables of docs/theory/nonlinear.md, from what ``benchmarks.figures`` and ``mutation_claims`` stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.stored import markdown, stored

TAU2 = 0.1**2

Figures = dict[str, dict[str, Any]]


def _row(figures: Figures, figure: str, **where: Any) -> dict[str, Any]:
    """Return the one row of a figure's summary that has these values."""
    found = [
        row
        for row in figures[f"single-index-{figure}"]["summary"]
        if all(row.get(name) == value for name, value in where.items())
    ]
    if len(found) != 1:
        raise ValueError(f"{len(found)} rows of {figure} have {where}")
    return found[0]


def _claim(figures: Figures, figure: str, words: str) -> float:
    """Return the measured number of the one claim whose statement contains these words."""
    claims = [c for c in figures[f"single-index-{figure}"]["claims"] if words in c["statement"]]
    if len(claims) != 1:
        raise ValueError(f"{len(claims)} claims of {figure} say {words!r}")
    return claims[0]["value"]


def _number(value: float) -> str:
    """Two digits, without an exponent down to a millionth.

    >>> _number(0.000123), _number(23.4), _number(0.5)
    ('.00012', '23', '.50')
    """
    if value >= 10:
        return f"{value:,.0f}"
    digits = 2 if value >= 0.1 else 6
    text = f"{value:.{digits}f}" if value >= 0.1 else f"{float(f'{value:.2g}'):.7f}".rstrip("0")
    return text.removeprefix("0") if value < 1 else text


def _mse(row: dict[str, Any]) -> str:
    low, high = row["mse interval"]
    return f"{_number(row['mse'])} ({_number(low)} to {_number(high)})"


def claims() -> str:
    """Claims of the paper beside what was measured."""
    found = stored("figures")
    context = {n: _row(found, "context", method="stages", n_rows=n) for n in (64, 128, 256)}
    frozen = {n: _row(found, "context", method="in context", n_rows=n) for n in (64, 256)}
    late = {
        (link, method): _row(found, "fixed-link", link=link, method=method, n_rows=1024)
        for link in ("varying", "fixed")
        for method in ("stages", "in context")
    }
    step = {
        (kind, r): _row(found, "stage1", kind="step", link="varying", method=kind, rank=r)["overlap"]
        for kind in ("distill", "labels")
        for r in (4, 32)
    }
    refined, bare, kernel = (
        {d: _row(found, "dimension", kind="task", method=m, n_rows=96, d=d) for d in dims}
        for m, dims in (("refined", (8, 32, 128)), ("no subspace", (8, 32)), ("poly", (8, 128)))
    )
    tilted = {m: _row(found, "shift", method=m, degrees=30) for m in ("polish", "no polish")}
    plane = [
        _claim(found, "multi", f"{c}, N = 512: one direction has at least 5 times")
        for c in ("sum", "product")
    ]
    lines = [
        (
            "one gradient step of pretraining finds the subspace; the stages inside it find the direction",
            f"overlap above .95 in {context[128]['success']:.0%} of tasks at N = 128, r = 4 of d = 8",
            "context",
        ),
        (
            "one step on distilled labels beats one on true labels, more so at larger r",
            f"overlap {_number(step['distill', 4])} against {_number(step['labels', 4])} at r = 4, "
            f"{_number(step['distill', 32])} against {_number(step['labels', 32])} at r = 32 "
            "($h_3+c\\,h_4$, $8r^2$ rows, at most 2,048)",
            "stage1",
        ),
        (
            "stage II ends geometrically",
            "with the link as activation 1 − overlap falls at the rate $2\\eta E s'^2$ of its drift (ratio "
            f"{2 ** _claim(found, 'stage2', 'rate of its drift'):.2f}), to a floor that grows with the step; the "
            f"default needs {_number(_claim(found, 'stage2', 'times the samples'))} times fewer samples for .98",
            "stage2",
        ),
        (
            "the error falls to the noise",
            f"squared error {_mse(context[64])} at N = 64, {_mse(context[256])} at N = 256, "
            f"{_mse(late['varying', 'stages'])} at N = 1,024, r = 4 of d = 8; the noise has power {TAU2:g}",
            "context, fixed-link",
        ),
        (
            "it depends on r, not on d",
            "N = 96, r = 4: squared error "
            + ", ".join(f"{_number(refined[d]['mse'])} at d = {d}" for d in refined)
            + " with a refined subspace, direction found in "
            f"{min(row['success'] for row in refined.values()):.0%} of tasks at every d; without it "
            + ", ".join(f"{_number(bare[d]['mse'])} at d = {d}" for d in bare)
            + f"; degree-4 kernel {_number(kernel[8]['mse'])} and {_number(kernel[128]['mse'])} at d = 8 and 128",
            "dimension",
        ),
        (
            "the frozen transformer stays behind",
            f"squared error {_number(frozen[64]['mse'])} at N = 64, {_number(frozen[256]['mse'])} at N = 256, "
            f"{_number(late['varying', 'in context']['mse'])} at N = 1,024: a plateau with a slow fall",
            "context, fixed-link",
        ),
        (
            "with one link for all tasks the advantage of training disappears",
            f"**not for one layer**: {_number(late['fixed', 'in context']['mse'])} frozen against "
            f"{_number(late['fixed', 'stages']['mse'])} trained at N = 1,024",
            "fixed-link",
        ),
        (
            "directions that leave the pretrained subspace",
            f"at 30 degrees overlap {tilted['polish']['overlap median']:.4f} with polish, "
            f"{tilted['no polish']['overlap median']:.2f} without (the cosine is .87); "
            "at 90 degrees the subspace misleads",
            "shift",
        ),
        (
            "(ours) two directions",
            f"one direction alone has {_number(min(plane))} to {_number(max(plane))} times the error of two at N = 512",
            "multi",
        ),
    ]
    return markdown(
        ["claim", "measured", "figure"], [[a, b, f"`{c.replace(', ', '`, `')}`"] for a, b, c in lines]
    )


def differences() -> str:
    """Numbers behind the paragraphs on where the measurements differ from the paper."""
    found = stored("figures")
    even = {
        kind: _row(found, "stage1", kind="step", link="even", method=kind, rank=32)["overlap"]
        for kind in ("distill", "labels", "spectral")
    }
    odd = {
        kind: _row(found, "stage1", kind="step", link="varying", method=kind, rank=32)["overlap"]
        for kind in ("attention", "attention-labels")
    }
    whole = {
        (m, n): _row(found, "stage1", kind="pipeline", method=m, n_rows=n)["success"]
        for m in ("distill", "random", "newton, default")
        for n in (128, 512)
    }
    paper = _row(found, "stage1", kind="pipeline", method="paper", n_rows=512)["success"]
    strong = {
        m: _row(found, "context", method=m, n_rows=256)
        for m in ("stages", "stages, SGD and ReLU", "poly, true subspace")
    }
    joint = {m: _row(found, "joint", method=m, n_rows=256) for m in ("joint", "split", "default")}
    shared = _claim(found, "literal", "and not for h3 + c h4, with as many prompts")
    lines = [
        (
            "attention student, overlap after a distilled step and after one on labels, r = 32",
            f"{_number(odd['attention'])}, {_number(odd['attention-labels'])}",
            "stage1",
        ),
        (
            "$h_4$, r = 32: a distilled step, one on labels, the spectral student",
            f"{_number(even['distill'])}, {_number(even['labels'])}, {_number(even['spectral'])}",
            "stage1",
        ),
        (
            "fixed random network in stage II: least mean of 1 − overlap, over its start, at steps .05, .01, .001",
            _number(_claim(found, "stage2", "fixed random network")),
            "stage2",
        ),
        (
            "literal recipe with standardised labels, r = 16, N = 512: direction found",
            f"{paper:.0%}",
            "stage1",
        ),
        (
            "SGD, r = 16, after distillation and from a random start: direction found at N = 128; at N = 512",
            f"{whole['distill', 128]:.0%}, {whole['random', 128]:.0%}; {whole['distill', 512]:.0%}, "
            f"{whole['random', 512]:.0%}",
            "stage1",
        ),
        (
            "the default there, N = 128",
            f"{whole['newton, default', 128]:.0%}",
            "stage1",
        ),
        (
            "squared error at N = 256: default; SGD and ReLU; degree-4 kernel on the true subspace",
            f"{_number(strong['stages']['mse'])}; {_number(strong['stages, SGD and ReLU']['mse'])}; "
            f"{_number(strong['poly, true subspace']['mse'])}",
            "context",
        ),
        (
            "squared error at N = 256: direction and read-out together; one after the other; default",
            f"{_number(joint['joint']['mse'])}; {_number(joint['split']['mse'])}; {_number(joint['default']['mse'])}",
            "joint",
        ),
        (
            "literal pretraining step, 8,000 prompts, r = 4 of d = 8: overlap of the subspace for $h_3+c\\,h_4$",
            _number(shared),
            "literal",
        ),
    ]
    return markdown(["what", "measured", "figure"], [[a, b, f"`{c}`"] for a, b, c in lines])


def literal() -> str:
    """The literal recipe: where it works, and the rows of one step."""
    found = stored("figures")
    sizes = (512, 2048, 8192)
    rows = []
    for method, label in (
        ("low, attention", "$.8h_1+.6h_2$"),
        ("square, attention", "$h_2$"),
        ("square, random", "$h_2$, without stage I"),
        ("varying, attention", "$h_3+c\\,h_4$"),
    ):
        shown = [_row(found, "literal", kind="end", method=method, n_rows=n) for n in sizes]
        rows.append([label, *(f"{row['success']:.0%}, {_number(row['mse'])}" for row in shown)])
    table = markdown(["link", *(f"N = {n:,}" for n in sizes)], rows)
    low = _claim(found, "literal", "power of r for true labels")
    high = _claim(found, "literal", "distilled ReLU student (upper end")
    times = _claim(found, "literal", "need 4 times the rows")
    return table + (
        "\nShare of directions found (overlap above .95) and squared error, step .01 in stage II. Rows for a median "
        "overlap of .7 after one step of stage I, $h_3+c\\,h_4$: for true labels with a matched activation they grow "
        f"with a power of r of at least {low:.1f}, for the distilled ReLU student of at most {high:.1f} (ends of 95 % "
        f"intervals); at the largest r true labels need {_number(times)} times the rows.\n"
    )


def settings() -> str:
    """Which settings the numbers of the page come from."""
    found = stored("figures")
    own = {name: kept for name, kept in found.items() if name.startswith("single-index-")}
    quick = [name.removeprefix("single-index-") for name, kept in own.items() if kept["setting"] == "quick"]
    full = [name.removeprefix("single-index-") for name, kept in own.items() if kept["setting"] == "full"]
    tasks = sorted(
        kept["config"].get("n_tasks", 0) for name, kept in own.items() if kept["setting"] == "quick"
    )
    said = (
        f"Small settings (`--quick`, {tasks[0]} to {tasks[-1]} tasks): `{'`, `'.join(quick)}`. "
        if quick
        else ""
    )
    return f"{said}Full settings: {'`' + '`, `'.join(full) + '`' if full else 'none'}.\n"


def mutants() -> str:
    """How many wrong formulas the claims noticed."""
    found = stored("mutation_claims")
    trials = found["trials"]
    noticed = sum(trial["noticed"] for trial in trials)
    figures = len({trial["figure"] for trial in trials})
    edits = {trial["mutant"] for trial in trials}
    unseen = edits - {trial["mutant"] for trial in trials if trial["noticed"]}
    text = (
        f"{len(edits)} of {found['n_mutants']} edits were tried on {figures} linear figures, {len(trials)} trials: "
        f"{noticed} were noticed ({noticed / len(trials):.0%}); {len(edits) - len(unseen)} edits by a figure at least."
    )
    missed = sorted(
        {
            (t["mutant"].removeprefix("testtime.theory.linear."), t["figure"])
            for t in trials
            if not t["noticed"]
        }
    )
    if missed:
        text += " Not noticed: " + "; ".join(f"`{name}` by {figure}" for name, figure in missed) + "."
    return text + "\n"


BLOCKS: dict[str, Callable[[], str]] = {
    "single-index-claims": claims,
    "single-index-differences": differences,
    "single-index-literal": literal,
    "single-index-settings": settings,
    "mutants": mutants,
}
