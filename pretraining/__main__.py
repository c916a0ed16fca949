"""Pretrain, export and measure the embedded model.

python -m pretraining pool     --out runs/pool                     tables of tabicl.prior, made once
python -m pretraining train    --config FILE --out runs/main       train, or continue after a stop
python -m pretraining export   runs/main/last.safetensors --out FOLDER
python -m pretraining evaluate FOLDER/classifier.safetensors --out runs/eval
python -m pretraining curve    runs/main --out runs/eval           the snapshots of a run
python -m pretraining card     --weights FOLDER --results runs/eval --out FOLDER/MODEL_CARD.md
python -m pretraining ablation --config FILE --out runs/ablation
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch


def main(arguments: list[str] | None = None) -> None:
    """Parse and dispatch."""
    # Every step has a new shape, and oneDNN keeps compiled kernels for the last 1,024: gigabytes, and
    # twice as slow.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    COMMANDS[options.command](options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pretraining",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--threads", type=int, default=1, help="results are repeatable for the same number")
    commands = parser.add_subparsers(dest="command", required=True)
    pool = commands.add_parser("pool", help="generate tables of tabicl.prior (needs xgboost)")
    pool.add_argument("--tables", type=int, default=8192)
    pool.add_argument("--seconds", type=float, default=1800.0, help="stop after this time")
    pool.add_argument("--seed", type=int, default=1)
    pool.add_argument("--regression", action="store_true", help="tables with a numeric target")
    for name, text in [
        ("train", "train, or continue, a run"),
        ("ablation", "equal steps without each ingredient"),
    ]:
        command = commands.add_parser(name, help=text)
        command.add_argument("--config", type=Path, required=True, help="TOML file, see pretraining/configs")
        command.add_argument(
            "--pool", type=Path, help="folder of the pool; without it the other sources take its share"
        )
        command.add_argument("--pool-tables", type=int, help="use the first tables only")
    export = commands.add_parser("export", help="write the files the package ships")
    export.add_argument("checkpoint", type=Path)
    export.add_argument(
        "--last", action="store_true", help="the last weights instead of their running average"
    )
    export.add_argument("--half", action="store_true", help="store float16")
    evaluate = commands.add_parser("evaluate", help="measure weights on real tables against scikit-learn")
    evaluate.add_argument("weights", type=Path, help="exported weights, or a checkpoint")
    evaluate.add_argument("--last", action="store_true", help="of a checkpoint, the last weights")
    evaluate.add_argument(
        "--baselines-from", type=Path, help="results.json with the same rows, whose baselines are taken over"
    )
    curve = commands.add_parser("curve", help="measure every snapshot of a run")
    curve.add_argument("run", type=Path)
    for command, sizes in [(evaluate, [32, 128, 512, 1024]), (curve, [128, 1024])]:
        command.add_argument(
            "--development", action="store_true", help="development tables instead of reported ones"
        )
        command.add_argument("--sizes", type=int, nargs="+", default=sizes, help="context rows")
        command.add_argument("--seeds", type=int, default=2)
        command.add_argument("--test-rows", type=int, default=800)
    card = commands.add_parser("card", help="write the model card")
    card.add_argument("--weights", type=Path, required=True, help="folder of the export")
    card.add_argument(
        "--results", type=Path, required=True, help="folder with results.json and, if any, curve.json"
    )
    for command in commands.choices.values():
        command.add_argument("--out", type=Path, required=True)
    return parser


def _pool(options: argparse.Namespace) -> None:
    from .pool import generate_pool

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
    from .pool import load_pool
    from .train import train

    pool = load_pool(options.pool, options.pool_tables) if options.pool else None
    state = train(load_config(options.config), options.out, pool=pool)
    print(f"{state.step} steps, {state.tables} tables, {state.seconds:.0f} s")


def _ablation(options: argparse.Namespace) -> None:
    from .ablation import ablate
    from .config import load_config
    from .pool import load_pool

    pool = load_pool(options.pool, options.pool_tables) if options.pool else None
    results = ablate(load_config(options.config), options.out, pool=pool)
    (options.out / "ablation.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    for name, means in results.items():
        print(f"{name:45s}", {n: round(value, 4) for n, value in means["auc"].items()})


def _export(options: argparse.Namespace) -> None:
    from .export import export

    print(export(options.checkpoint, options.out, average=not options.last, half=options.half)["sha256"])


def _evaluate(options: argparse.Namespace) -> None:
    from .evaluate import baselines_of, evaluate, per_table, summary_table, write_results
    from .tables import DEVELOPMENT, REPORTED

    start = time.perf_counter()
    names = DEVELOPMENT if options.development else REPORTED
    rows = {
        "tables": list(names),
        "sizes": options.sizes,
        "seeds": options.seeds,
        "n_test": options.test_rows,
    }
    reused = baselines_of(options.baselines_from, rows) if options.baselines_from else []
    records = evaluate(
        options.weights,
        names,
        sizes=options.sizes,
        seeds=options.seeds,
        n_test=options.test_rows,
        average=not options.last,
        baselines=not reused,
    )
    records += reused
    about = rows | {
        "sha256": hashlib.sha256(options.weights.read_bytes()).hexdigest(),
        "threads": options.threads,
        "seconds": round(time.perf_counter() - start, 1),
    }
    write_results(options.out / "results.json", records, about)
    print(summary_table(records), *(per_table(records, n) for n in options.sizes), sep="\n\n")


def _curve(options: argparse.Namespace) -> None:
    from .evaluate import curve
    from .tables import DEVELOPMENT, REPORTED

    names = DEVELOPMENT if options.development else REPORTED
    points = curve(options.run, names, sizes=options.sizes, seeds=options.seeds, n_test=options.test_rows)
    options.out.mkdir(parents=True, exist_ok=True)
    data = {"seeds": options.seeds, "n_test": options.test_rows, "tables": list(names), "points": points}
    (options.out / "curve.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    for point in points:
        print(point["step"], point["tables"], "AUC", point["auc"], "log loss", point["log_loss"])


def _card(options: argparse.Namespace) -> None:
    from .card import write_card

    curve = options.results / "curve.json"
    write_card(
        options.weights / "classifier.json",
        options.results / "results.json",
        options.out,
        curve if curve.exists() else None,
    )


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "pool": _pool,
    "train": _train,
    "ablation": _ablation,
    "export": _export,
    "evaluate": _evaluate,
    "curve": _curve,
    "card": _card,
}

if __name__ == "__main__":
    main()
