"""Command line: ``python -m pretraining pool|train|export|evaluate``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch


def main() -> None:
    """Parse and dispatch."""
    # Every step has a new shape, and oneDNN keeps compiled kernels for the last 1,024: gigabytes, and twice as slow.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")
    parser = argparse.ArgumentParser(prog="python -m pretraining", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train, or continue, a run")
    train.add_argument("--config", type=Path, required=True)
    train.add_argument("--out", type=Path, required=True)
    train.add_argument("--pool", type=Path)
    train.add_argument("--pool-tables", type=int)
    train.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    from .config import load_config
    from .pool import load_pool
    from .train import train as run

    pool = load_pool(arguments.pool, arguments.pool_tables) if arguments.pool else None
    run(load_config(arguments.config), arguments.out, pool=pool)


if __name__ == "__main__":
    main()
