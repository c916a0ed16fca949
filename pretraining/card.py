# ruff: noqa: E501 - rows of Markdown tables
"""The model card, written from the exported description and the results of ``evaluate``."""

from __future__ import annotations

import json
from pathlib import Path

from .evaluate import paired_table, per_table, read_results, summary_table
from .tables import DEVELOPMENT, REPORTED

TEMPLATE = """# Model card: the embedded tabular classifier

A TabICL (Qu et al., 2025, "TabICL: A Tabular Foundation Model for In-Context Learning on Large Data") of
{parameters:,} parameters, trained from random initialisation on synthetic tables only, by `pretraining/` of this
repository. It is the default backbone of `testtime.TTTClassifier`: small enough to ship with the package, good enough
to be useful without a network.

| | |
|---|---|
| file | `classifier.safetensors`, {dtype}, sha256 `{sha256}` |
| input | numeric columns, categories as ordinal codes; 2 to 10 classes; trained on 2-20 columns, some tables up to 60, and 128-1,280 rows of which 6-86% are context |
| preprocessing | per column, from context rows: half clipped z-score, half mid-rank; missing and constant 0 (rule in `classifier.json`) |
| training | {step:,} steps, {tables:,} synthetic tables, {minutes:.0f} minutes on {threads} CPU thread, torch {torch}; {weights} of the weights; {skipped} steps skipped as not finite |
| continued | {changes}. Told in `docs/pretraining.md` |
| synthetic validation | log loss {loss_ema} (running average), {loss_last} (last weights) |
| licence | Apache-2.0 |

## Results on real tables

Plain in-context prediction, no adaptation. All methods see the same training rows; {n_test} test rows at most; mean over
tables of the mean over {seeds} seeds. "4 orders" averages four orders of columns and class codes. Baselines are
scikit-learn's with default settings (boosted trees with leaves that fit small training sets). Printed by
`python -m pretraining evaluate`.

{summary}

Differences with their standard error over tables, and the number of tables on which the model (one order) is better:

{paired_auc}

{paired_loss}

{per_table_small}

{per_table}

{curve}## What it was chosen on

Choices were made on synthetic validation loss and on these development tables, which are in none of the numbers above:
{development}. Reported tables ({n_reported}): {reported}.

## Limits

- Classification only, at most 10 classes. More than about 60 columns or 1,000 context rows are outside what it was
  trained on; it runs there, and gets slower in proportion.
- Categories are read as ordinal codes; columns of free text or hundreds of levels carry little for it.
- Small and briefly trained: where the class boundary is jagged or a conjunction of many codes, trees trained on the same
  rows win, and by more the more rows there are (see the table above).
- Rows are assumed exchangeable: no time series, no drift in the prior. Synthetic data carry no social bias of their own;
  predictions reproduce whatever the user's context rows hold.
"""


def write_card(weights: Path, results: Path, out: Path, curve: Path | None = None) -> str:
    """Fill the template and write it.

    Parameters
    ----------
    weights : Path
        ``classifier.json`` of the export.
    results : Path
        ``results.json`` of ``evaluate`` on these weights.
    out : Path
        The card.
    curve : Path, optional
        ``curve.json`` of the run.

    Raises
    ------
    ValueError
        If the results were measured on other weights.
    """
    description = json.loads(weights.read_text(encoding="utf-8"))
    records, about = read_results(results)
    if about["sha256"] != description["sha256"]:
        raise ValueError(
            f"the results are of weights {str(about['sha256'])[:12]}, the card is for {description['sha256'][:12]}; "
            "run `python -m pretraining evaluate` on the exported weights first."
        )
    training = description["training"]
    largest = max(r.n for r in records)
    text = TEMPLATE.format(
        parameters=description["parameters"],
        dtype=description["dtype"],
        sha256=description["sha256"],
        minutes=training["seconds"] / 60,
        **{k: training[k] for k in ("step", "tables", "threads", "torch", "weights", "skipped")},
        **{k: training["validation_loss"][k] for k in ("loss_ema", "loss_last")},
        changes="; ".join(training["changes"]) or "in one piece",
        n_test=about["n_test"],
        seeds=about["seeds"],
        summary=summary_table(records),
        paired_auc=paired_table(records, "model", "auc"),
        paired_loss=paired_table(records, "model", "log_loss"),
        per_table_small=per_table(records, 128),
        per_table=per_table(records, largest),
        curve=_curve(curve) if curve else "",
        development=", ".join(DEVELOPMENT),
        reported=", ".join(REPORTED),
        n_reported=len(REPORTED),
    )
    out.write_text(text, encoding="utf-8")
    return text


def _curve(path: Path) -> str:
    data = json.loads(path.read_text(encoding="utf-8"))
    points = data["points"]
    sizes = list(points[0]["auc"])
    lines = [
        "## Learning curve\n\nRunning average of the weights, one order, the same tables, "
        f"{data['seeds']} seed(s), at most {data['n_test']} test rows; printed by `python -m pretraining curve`.\n",
        "| steps | tables | " + " | ".join(f"AUC, n={n} | log loss, n={n}" for n in sizes) + " |",
        "|---|---|" + "---|---|" * len(sizes),
    ]
    for point in points:
        cells = " | ".join(f"{point['auc'][n]:.3f} | {point['log_loss'][n]:.3f}" for n in sizes)
        lines.append(f"| {point['step']:,} | {point['tables']:,} | {cells} |")
    return "\n".join(lines) + "\n\n"
