"""What each command of ``python -m pretraining`` does with its arguments."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from .pool import generate_pool, load_pool


def _draws(options: argparse.Namespace):
    from .evaluate import Draws

    return Draws(tuple(options.sizes), options.seeds, options.test_rows)


def _given_pool(options: argparse.Namespace):
    return load_pool(options.pool, options.pool_tables) if options.pool else None


def _pool(options: argparse.Namespace) -> None:
    done = generate_pool(
        options.out,
        options.tables,
        seed=options.seed,
        seconds=options.seconds,
        regression=options.regression,
    )
    print(done, "tables")


def _train(options: argparse.Namespace) -> None:
    from .config import load_config
    from .train import train

    state = train(load_config(options.config), options.out, pool=_given_pool(options), peer=options.peer)
    print(f"{state.step} steps, {state.tables} tables, {state.seconds:.0f} s")


def _ablation(options: argparse.Namespace) -> None:
    from .ablation import ablate, ablation_table
    from .config import load_config

    config = load_config(options.config)
    task, results = ablate(
        config,
        options.out,
        pool=_given_pool(options),
        draws=_draws(options),
        only=options.only,
        names=options.tables,
    )
    text = ablation_table(results, (task.measures[0], task.loss))
    (options.out / "ablation.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def _export(options: argparse.Namespace) -> None:
    from .export import export

    how = {"beside": options.beside, "average": not options.last, "half": options.half}
    print(export(options.checkpoint, options.out, **how)["sha256"])


def _evaluate(options: argparse.Namespace) -> None:
    from .evaluate import SERVED, blocks_of, digest, measure, write_results
    from .report import report

    start = time.process_time()
    served = () if options.adapted is None else options.adapted or SERVED
    task, blocks = blocks_of(
        options.weights,
        average=not options.last,
        before=options.before,
        baselines=not options.no_baselines,
        served=served,
        step_counts=options.steps,
    )
    names = options.tables or (task.development if options.development else task.reported)
    records = measure(task, blocks, names, _draws(options), options.out / "cells")
    about = {
        "task": task.name,
        "tables": list(names),
        "sizes": options.sizes,
        "seeds": options.seeds,
        "n_test": options.test_rows,
        "sha256": digest(options.weights),
        "threads": options.threads,
        "cpu_seconds": round(time.process_time() - start, 1),
    }
    write_results(options.out / "results.json", records, about)
    print(report(task, records))


def _curve(options: argparse.Namespace) -> None:
    from .curve import curve
    from .evaluate import write_json

    points = curve(options.stations, options.tables, _draws(options), development=options.development)
    about = {"seeds": options.seeds, "n_test": options.test_rows, "development": options.development}
    write_json(options.out / "curve.json", {**about, "points": points})
    for point in points:
        print(point)


def _compare(options: argparse.Namespace) -> None:
    from .compare import compare
    from .step_summaries import comparison_table

    task, results = compare(
        options.weights,
        options.out,
        options.steps,
        _draws(options),
        names=options.tables,
        average=not options.last,
    )
    for letter, path in zip("AB", options.weights, strict=True):
        print(f"{letter}: {path}")
    print(comparison_table(*results, (task.measures[0], task.loss)))


def _rates(options: argparse.Namespace) -> None:
    from .config import load_config
    from .rates import RatesConfig, learn_rates

    config = RatesConfig(seed=options.seed, updates=options.updates, tables=options.tables)
    prior = load_config(options.config).prior
    data = learn_rates(options.weights, prior, config, options.out, pool=_given_pool(options))
    for name, rate in data["rates"].items():
        print(f"{rate:8.3f}  {name}")


def _card(options: argparse.Namespace) -> None:
    from .card import write_card

    write_card(options.weights, options.results, options.out)


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "pool": _pool,
    "train": _train,
    "ablation": _ablation,
    "export": _export,
    "evaluate": _evaluate,
    "curve": _curve,
    "compare": _compare,
    "rates": _rates,
    "card": _card,
}
