"""A pool of synthetic tables from ``tabicl.prior``, generated once and resampled during training.

The priors of tabicl (Qu et al., 2025, "TabICL: A Tabular Foundation Model for In-Context Learning on Large
Data") are structurally richer than ours and far slower: 12-60 tables per second on one core, about the
speed of training itself. So a few thousand tables are generated beforehand, stored as float16, and every
use draws other rows, columns, signs and class codes from them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

POOL_ROWS = 1024
POOL_FEATURES = 20


@dataclass(frozen=True)
class Pool:
    """Tables in memory.

    Attributes
    ----------
    x : Tensor of shape (tables, POOL_ROWS, POOL_FEATURES), float16
        Features, standardised over all rows; columns from ``n_features`` on are zero.
    y : Tensor of shape (tables, POOL_ROWS), uint8 or float16
        Class codes, contiguous from 0, or standardised regression targets.
    n_features : Tensor of shape (tables,), int64
        Number of real columns.
    """

    x: Tensor
    y: Tensor
    n_features: Tensor

    def __len__(self) -> int:
        return len(self.n_features)

    def draw(
        self, n_tables: int, n_rows: int, n_features: int, rng: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Resample tables to a common shape.

        Columns are drawn without repetition while a table has enough of them; the columns still missing are
        row-shuffled copies, which carry the same values and no information.

        Parameters
        ----------
        n_tables, n_rows, n_features : int
            Shape of the result; ``n_rows`` at most ``POOL_ROWS``.
        rng : torch.Generator
            Source of randomness.

        Returns
        -------
        x : Tensor of shape (n_tables, n_rows, n_features), float32
        y : Tensor of shape (n_tables, n_rows), int64 or float32
            Randomly renamed class codes, or targets with a random sign.
        """
        # Of six random tables the one whose width fits best: dropping many columns drops the signal.
        several = torch.randint(len(self), (n_tables, 6), generator=rng)
        misfit = (self.n_features[several] - n_features).abs()
        table = several.gather(1, misfit.argmin(1, keepdim=True)).squeeze(1)
        x = torch.empty(n_tables, n_rows, n_features)
        classes = self.y.dtype == torch.uint8
        y = torch.empty(n_tables, n_rows, dtype=torch.int64 if classes else torch.float32)
        for i, t in enumerate(table.tolist()):
            rows = torch.randperm(POOL_ROWS, generator=rng)[:n_rows]
            have = int(self.n_features[t])
            columns = torch.randperm(have, generator=rng)[:n_features]
            source = self.x[t, rows].float()
            block = source[:, columns]
            if len(columns) < n_features:
                extra = torch.randint(have, (n_features - len(columns),), generator=rng)
                shuffled = source[torch.randperm(n_rows, generator=rng)][:, extra]
                block = torch.cat([block, shuffled], 1)[:, torch.randperm(n_features, generator=rng)]
            sign = torch.randint(0, 2, (n_features,), generator=rng).float() * 2 - 1
            x[i] = block * sign
            if classes:
                y[i] = torch.randperm(10, generator=rng)[self.y[t, rows].long()]
            else:
                y[i] = self.y[t, rows].float() * (1 if torch.rand(1, generator=rng) < 0.5 else -1)
        return x, y


def load_pool(folder: Path, max_tables: int | None = None) -> Pool | None:
    """Read the shards of a folder in name order; ``None`` when there are none."""
    shards = sorted(folder.glob("shard-*.npz"))
    if not shards:
        return None
    parts = []
    for shard in shards:
        with np.load(shard, allow_pickle=False) as data:
            parts.append((data["x"], data["y"], data["n_features"]))
    x, y, n_features = (np.concatenate([part[i] for part in parts])[:max_tables] for i in range(3))
    return Pool(torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(n_features))


def generate_pool(
    folder: Path,
    n_tables: int,
    *,
    seed: int,
    seconds: float,
    regression: bool = False,
    shard_size: int = 256,
) -> int:
    """Fill a folder with shards until ``n_tables`` are there or ``seconds`` have passed; returns the count.

    ``tabicl.prior`` draws from the global generators of ``random``, NumPy and torch, so this function seeds
    all three: run it in a process of its own.
    """
    import random

    from tabicl.prior import PriorDataset

    folder.mkdir(parents=True, exist_ok=True)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the library reads the global state
    torch.manual_seed(seed)
    sources = [
        PriorDataset(
            regression=regression,
            batch_size=16,
            batch_size_per_gp=2,
            min_features=2,
            max_features=POOL_FEATURES,
            max_classes=10,
            max_seq_len=POOL_ROWS,
            log_n_features=True,
            min_train_size=0.5,
            max_train_size=0.5,
            prior_type=prior_type,
            n_jobs=1,
        )
        for prior_type in ("graph_scm", "mix_scm")
    ]
    start, done, batch = time.monotonic(), 0, 0
    shard, held = len(list(folder.glob("shard-*.npz"))), []
    while done < n_tables and time.monotonic() - start < seconds:
        # Two batches of the graph prior (TabICLv2) to one of the older mixture of networks and trees.
        x, y, d, _, _ = sources[int(batch % 3 == 2)].get_batch()
        batch += 1
        for i in range(len(d)):
            table, label, width = x[i], y[i], int(d[i])
            target = _standard_target(label) if regression else _class_codes(label)
            if target is None or width < 2 or not torch.isfinite(table[:, :width]).all():
                continue
            table = (table - table.mean(0)) / table.std(0).clamp_min(1e-6)
            table[:, width:] = 0
            held.append((table.clamp(-60, 60).half().numpy(), target.numpy(), width))
            done += 1
        if len(held) >= shard_size:
            _write_shard(folder / f"shard-{shard:04d}.npz", held)
            shard, held = shard + 1, []
    if held:
        _write_shard(folder / f"shard-{shard:04d}.npz", held)
    return done


def _class_codes(label: Tensor) -> Tensor | None:
    """Contiguous codes, or ``None`` unless there are 2 to 10 classes."""
    _, code = torch.unique(label, return_inverse=True)
    return code.to(torch.uint8) if 1 <= code.max() <= 9 else None


def _standard_target(label: Tensor) -> Tensor | None:
    """Zero mean, unit variance, or ``None`` for targets that are constant or not finite."""
    scale = label.double().std()
    if not torch.isfinite(scale) or scale < 1e-6:
        return None
    return ((label.double() - label.double().mean()) / scale).clamp(-60, 60).half()


def _write_shard(path: Path, held: list[tuple[np.ndarray, np.ndarray, int]]) -> None:
    """Write under another name first, so that a reader never sees half a shard."""
    part = path.with_name("part-" + path.name)
    x, y, width = zip(*held, strict=True)
    np.savez(part, x=np.stack(x), y=np.stack(y), n_features=np.array(width, dtype=np.int64))
    part.replace(path)
