"""What :func:`testtime.table.fit.choose` decides on made-up rows, with a backbone that is known."""

from __future__ import annotations

import numpy as np

from tests.support.linear import LinearBackbone
from tests.support.tables import linear_table, noise_table
from testtime.adapt.budget import Budget
from testtime.adapt.task import Classes, Numbers
from testtime.backbones.base import Encoded
from testtime.table.config import FitConfig
from testtime.table.encoding import EncodedRows
from testtime.table.fit import Chosen, choose


def rows(n: int = 160, n_classes: int = 2, noise: bool = False, **more) -> EncodedRows:
    frame, y = (noise_table if noise else linear_table)(n, n_classes)
    x = frame.to_numpy()
    if not n_classes:
        y = (y - y.mean()) / y.std()
    return EncodedRows(Encoded(x, tuple(frame), ("number",) * 4, (0,) * 4), x, y, **more)


def run(
    given: EncodedRows, backbone=None, n_classes: int = 2, seed: int = 0, budget=None, **params
) -> Chosen:
    task = Classes(n_classes) if n_classes else Numbers()
    return choose(
        backbone or LinearBackbone(),
        task,
        FitConfig(**params),
        given,
        np.random.SeedSequence(seed),
        budget or Budget(),
    )
