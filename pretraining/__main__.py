"""Pretrain, export and measure the embedded models.

python -m pretraining pool     --out runs/pool                     tables of tabicl.prior, made once
python -m pretraining train    --config FILE --out runs/main       train, or continue after a stop
python -m pretraining export   runs/main/last.safetensors --out FOLDER
python -m pretraining evaluate FOLDER/classifier.safetensors --out runs/eval
python -m pretraining curve    runs/main --out runs/eval           the snapshots of a run, or exported weights in order
python -m pretraining compare  A.safetensors B.safetensors --out runs/compare
python -m pretraining rates    A.safetensors --config FILE --out runs/rates
python -m pretraining card     --weights FOLDER --results runs/eval ... --out FOLDER/MODEL_CARD.md
python -m pretraining ablation --config FILE --out runs/ablation
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import torch

from testtime.errors import TestTimeError


def main(arguments: list[str] | None = None) -> int:
    """Parse and dispatch; returns the exit code: 0, or 2 for arguments or files that cannot be used."""
    # Every step has a new shape, and oneDNN keeps compiled kernels for the last 1,024: gigabytes, and
    # twice as slow.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")
    options = make_parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    from .commands import COMMANDS

    try:
        COMMANDS[options.command](options)
    except (TestTimeError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
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
    train = commands.add_parser("train", help="train, or continue, a run")
    train.add_argument(
        "--peer", type=Path, help="--out of a second run, started beside this one, to average weights with"
    )
    ablation = commands.add_parser("ablation", help="equal CPU seconds without each ingredient of the prior")
    ablation.add_argument("--only", nargs="+", default=[], help="variants besides the two full ones")
    rates = commands.add_parser("rates", help="learn a rate for each tensor of an adapter")
    rates.add_argument("weights", type=Path, help="exported weights, or a checkpoint, of either task")
    rates.add_argument("--updates", type=int, default=40, help="times that the rates move")
    rates.add_argument("--tables", type=int, default=8, help="tables for each time")
    rates.add_argument("--seed", type=int, default=1)
    for command in (train, ablation, rates):
        command.add_argument("--config", type=Path, required=True, help="TOML file, see pretraining/configs")
        command.add_argument(
            "--pool", type=Path, help="folder of the pool; without it the other sources take its share"
        )
        command.add_argument("--pool-tables", type=int, help="use the first tables only")
    export = commands.add_parser("export", help="write the files the package ships")
    export.add_argument("checkpoint", type=Path)
    export.add_argument(
        "--beside",
        type=Path,
        nargs="+",
        default=[],
        help="runs with other seeds, of which the mean is written",
    )
    export.add_argument("--half", action="store_true", help="store float16")
    evaluate = commands.add_parser(
        "evaluate", help="measure weights on real tables beside forest and boosting"
    )
    evaluate.add_argument("weights", type=Path, help="exported weights, or a checkpoint, of either task")
    evaluate.add_argument("--before", type=Path, help="other weights of the same task, set beside these")
    evaluate.add_argument("--no-baselines", action="store_true", help="leave the other methods out")
    evaluate.add_argument(
        "--adapted",
        type=int,
        nargs="*",
        metavar="N",
        help="also the package's estimator, fitted on all training rows, serving N rows (default: 32 128)",
    )
    evaluate.add_argument(
        "--steps",
        type=int,
        nargs="+",
        default=[],
        metavar="K",
        help="also K gradient steps, 128 context rows",
    )
    curve = commands.add_parser("curve", help="measure weights on their way, one after the other")
    curve.add_argument(
        "stations",
        type=Path,
        nargs="+",
        help="folders of runs (every snapshot) and files of exported weights",
    )
    compare = commands.add_parser("compare", help="several weights before and after gradient steps")
    compare.add_argument("weights", type=Path, nargs=2, help="two weight files")
    compare.add_argument("--steps", type=int, nargs="+", default=[0, 1, 20], metavar="K")
    _add_rows(evaluate, sizes=(32, 128, 512, 1024))
    _add_rows(curve, sizes=(128, 1024))
    _add_rows(compare, sizes=(128, 1024))
    _add_rows(ablation, sizes=(128, 512), n_test=400)
    for command in (evaluate, curve):
        command.add_argument(
            "--development", action="store_true", help="development tables instead of reported ones"
        )
    for command in (export, evaluate, compare):
        command.add_argument(
            "--last", action="store_true", help="of a checkpoint, the last weights, not their average"
        )
    card = commands.add_parser("card", help="write the model card")
    card.add_argument("--weights", type=Path, required=True, help="folder of the export")
    card.add_argument(
        "--results", type=Path, nargs="+", required=True, help="output folders of evaluate, one per task"
    )
    for command in commands.choices.values():
        command.add_argument("--out", type=Path, required=True)
    return parser


def _add_rows(command: argparse.ArgumentParser, *, sizes: tuple[int, ...], n_test: int = 800) -> None:
    command.add_argument("--sizes", type=int, nargs="+", default=list(sizes), help="training rows")
    command.add_argument("--seeds", type=int, default=2)
    command.add_argument("--test-rows", type=int, default=n_test)
    command.add_argument("--tables", nargs="+", metavar="NAME", help="these tables only")


if __name__ == "__main__":
    sys.exit(main())
