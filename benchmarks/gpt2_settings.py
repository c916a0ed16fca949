"""How test-time training of the shipped GPT-2 should be set: error by what is trained, rate, steps and episode.

    python -m benchmarks.gpt2_settings gpt2-links He2 256 8 --try lora:4,1e-2,300,32,64 all,3e-3,600,16,32

Arguments: model, link, rows, tasks; a setting is kind[:rank],rate,steps,context rows,query rows. The tasks are drawn
from a seed that no figure uses. Errors are means over tasks, with a standard error: in-context learning from all rows
(512 at most), and the mean of a trained model's answers from all rows and from 64. The file keeps what earlier runs
found.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from testtime.adapt.delta import DeltaSpec
from testtime.adapt.learner import FROZEN, Weights
from testtime.adapt.train import TrainConfig
from testtime.experiments.in_context.adapting import Contexts, adapt_each, table_of
from testtime.experiments.in_context.measures import shipped, tasks_of


def config_of(text: str) -> TrainConfig:
    """Return the settings that a word of the command line stands for.

    >>> config_of("lora:4,1e-2,300,32,64").spec
    DeltaSpec(kind='lora', rank=4, alpha=None)
    """
    what, rate, steps, n_context, n_query = text.split(",")
    kind, _, rank = what.partition(":")
    spec = DeltaSpec(kind, rank=int(rank)) if rank else DeltaSpec(kind)
    return TrainConfig(int(steps), int(n_context), int(n_query), learning_rate=float(rate), spec=spec)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe")
    parser.add_argument("link")
    parser.add_argument("rows", type=int)
    parser.add_argument("tasks", type=int)
    parser.add_argument("--try", dest="settings", nargs="+", default=[])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gpt2_settings.json"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    learner, contexts = shipped(asked.recipe), Contexts()
    seed = np.random.SeedSequence([777, asked.rows, len(asked.link)])
    drawn = tasks_of(asked.recipe, asked.link, asked.tasks, asked.rows, seed)
    tables = [table_of(X, y) for X, y in zip(drawn.X, drawn.y, strict=True)]

    def errors(weights: Sequence[Weights], view) -> np.ndarray:
        told = [
            lambda X, own=own, rows=rows: view(learner, own, rows, X)
            for own, rows in zip(weights, tables, strict=True)
        ]
        return np.array([row["mse"] for row in drawn.score("", told)])

    frozen = errors([FROZEN] * asked.tasks, contexts.with_full)
    stored = json.loads(asked.out.read_text(encoding="utf-8")) if asked.out.exists() else []
    for text in asked.settings:
        began = time.process_time()
        weights = adapt_each(learner, tables, config_of(text), seed.spawn(asked.tasks))
        spent = time.process_time() - began
        found = errors(weights, contexts.with_both)
        stored.append(
            {"model": asked.recipe, "link": asked.link, "rows": asked.rows, "tasks": asked.tasks}
            | {"in-context": float(frozen.mean()), "setting": text, "error": float(found.mean())}
            | {"se": float(found.std(ddof=1) / np.sqrt(asked.tasks)), "cpu seconds": round(spent, 1)}
        )
        print(stored[-1], flush=True)
        asked.out.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
