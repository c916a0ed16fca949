"""How much faster test-time training of many tasks is in one vectorised pass than task by task, and how equal.

    python -m benchmarks.many_tasks [--out FILE] [--tasks 32] [--steps N] [--repeats N] [--threads 1 2]

Both train the shipped GPT-2 of width 64 on the same episodes of the same tasks, everything (`all`) and low rank, for
several episode sizes. With one thread the processor's time is taken, which other work of the machine hardly changes;
with two, wall time, which means something on an idle machine alone. The load when it began is stored. `difference` is
the largest absolute difference between two predictions of the same task after all steps, in single precision as timed
and in double precision for a few tasks: AdamW divides by the size of a gradient, so that the rounding of gradients that
are nearly zero comes back at the size of the learning rate. Prints a table, writes JSON.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import best_seconds
from testtime.adapt.delta import Delta, DeltaSpec
from testtime.adapt.learner import Rows, predict_rows
from testtime.adapt.train import TrainConfig, train
from testtime.adapt.train_each import train_each
from testtime.adapt.trained import Trained
from testtime.experiments.in_context.adapting import table_of
from testtime.experiments.in_context.learner import GPTLearner
from testtime.experiments.in_context.measures import shipped, tasks_of

RECIPE, LINK, N_ROWS = "gpt2-links", "varying", 256
EPISODES = ((8, 8), (16, 32), (32, 64))
N_DOUBLE = 4
KINDS = {"all": DeltaSpec("all"), "rank 4": DeltaSpec("lora", rank=4)}


def loop(learner: GPTLearner, tables: list[Rows], config: TrainConfig) -> list[Trained]:
    """Train task by task."""
    return [train(learner, rows, np.arange(len(rows)), config, seed_of(b)) for b, rows in enumerate(tables)]


def together(learner: GPTLearner, tables: list[Rows], config: TrainConfig) -> list[Trained]:
    """Train all tasks in one pass per step."""
    pools = [np.arange(len(rows)) for rows in tables]
    return train_each(learner, tables, pools, config, [seed_of(b) for b in range(len(tables))])


def seed_of(task: int) -> np.random.SeedSequence:
    """Return the seed of a task, which has spawned nothing yet."""
    return np.random.SeedSequence(5, spawn_key=(task,))


def measure(
    learner: GPTLearner, tables: list[Rows], config: TrainConfig, repeats: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Time both ways on the same tasks, and compare what the trained models predict."""
    alone, one_pass = (
        best_seconds(lambda way=way: way(learner, tables, config), repeats, clock) for way in (loop, together)
    )
    each = 1e3 / (len(tables) * config.n_steps)
    double = GPTLearner(copy.deepcopy(learner.module).double())
    few = [Rows(rows.x.double(), rows.y.double()) for rows in tables[:N_DOUBLE]]
    return {
        "loop_ms": each * alone,
        "together_ms": each * one_pass,
        "times_faster": alone / one_pass,
        "difference": difference(learner, tables, config),
        "difference_double": difference(double, few, config),
    }


def difference(learner: GPTLearner, tables: list[Rows], config: TrainConfig) -> float:
    """Return the largest difference between the predictions of the two ways."""
    pairs = zip(*(way(learner, tables, config) for way in (loop, together)), strict=True)
    return max(
        float((answers(learner, rows, config, a) - answers(learner, rows, config, b)).abs().max())
        for rows, (a, b) in zip(tables, pairs, strict=True)
    )


def answers(learner: GPTLearner, rows: Rows, config: TrainConfig, trained: Trained) -> torch.Tensor:
    """What a trained model says about its own rows from the first of them."""
    weights = Delta(learner, config.spec).weights(trained.snapshots[config.n_steps])
    return predict_rows(learner, weights, learner.read(weights, rows.take(np.arange(64))), rows.x)


def main() -> None:
    """Measure every setting, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("many_tasks.json"))
    parser.add_argument("--tasks", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, nargs="+", default=[1], choices=(1, 2))
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    learner = shipped(RECIPE)
    drawn = tasks_of(RECIPE, LINK, arguments.tasks, N_ROWS, np.random.SeedSequence(3))
    tables = [table_of(X, y) for X, y in zip(drawn.X, drawn.y, strict=True)]
    rows = []
    columns = (
        "trained",
        "context",
        "query",
        "threads",
        "loop ms",
        "one pass ms",
        "faster",
        "differ",
        "double",
    )
    print(*(f"{column:>11}" for column in columns))
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        clock = time.process_time if threads == 1 else time.perf_counter
        for kind, spec in KINDS.items():
            for n_context, n_query in EPISODES:
                config = TrainConfig(arguments.steps, n_context, n_query, learning_rate=3e-3, spec=spec)
                setting = {"trained": kind, "context": n_context, "query": n_query, "threads": threads}
                rows.append(setting | measure(learner, tables, config, arguments.repeats, clock))
                shown = (v if isinstance(v, (int, str)) else f"{v:.2g}" for v in rows[-1].values())
                print(*(f"{value:>11}" for value in shown), flush=True)
    report = {
        "tasks": arguments.tasks,
        "steps": arguments.steps,
        "repeats": arguments.repeats,
        "load": load,
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "rows": rows,
    }
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
