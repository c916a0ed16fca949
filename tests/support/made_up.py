"""Tiny models, a tiny prior and a made-up pool for the tests of pretraining."""

import numpy as np
import torch

from pretraining.config import Config, TrainConfig
from pretraining.model import SMALL
from pretraining.pool import POOL_FEATURES, POOL_ROWS, Pool
from pretraining.prior import PriorConfig
from pretraining.tables import RealTable

TINY = {
    **SMALL,
    "embed_dim": 8,
    "col_num_blocks": 1,
    "col_num_inds": 4,
    "row_num_blocks": 1,
    "icl_num_blocks": 2,
}
TINY |= {"row_num_cls": 2, "icl_nhead": 2}
QUANTILES = {**TINY, "max_classes": 0, "num_quantiles": 9}
SMALL_PRIOR = PriorConfig(cells=1500, rows=(32, 64), features=(2, 6), wide_share=0.0, kinds_per_batch=2)


def tiny_config(**changes) -> Config:
    """A run of eight steps."""
    settings = {"steps": 8, "warmup_steps": 2, "validation_batches": 1, "log_every": 2, "validate_every": 100}
    return Config(TrainConfig(**(settings | changes)), SMALL_PRIOR, TINY)


def make_pool() -> Pool:
    """Three tables of 2, 5 and 20 columns; the label is the sign of the first."""
    rng = torch.Generator().manual_seed(0)
    x = torch.zeros(3, POOL_ROWS, POOL_FEATURES, dtype=torch.float16)
    width = torch.tensor([2, 5, 20])
    for i, w in enumerate(width.tolist()):
        x[i, :, :w] = torch.randn(POOL_ROWS, w, generator=rng).half()
    y = (x[:, :, 0] > 0).to(torch.uint8)
    return Pool(x, y, width)


def made_up(numeric: bool = False) -> RealTable:
    """400 rows, three columns; the target is the first, or its sign."""
    x = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    y = x[:, 0].astype(np.float64) if numeric else (x[:, 0] > 0).astype(np.int64)
    return RealTable("made up", x, y, np.zeros(3, dtype=bool))
