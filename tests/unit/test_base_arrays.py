"""One copy of a base model for all processes of a machine: its weights are used from memory that is read-only."""

from __future__ import annotations

import numpy as np
import torch

from tests.support.models import random_rows, tiny_backbone
from testtime.adapt.learner import FROZEN
from testtime.adapt.task import Classes
from testtime.backbones.modules import base_arrays, use_arrays


def test_a_base_uses_arrays_where_they_lie_and_answers_the_same():
    first, second = tiny_backbone(seed=0), tiny_backbone(seed=1)
    shared = {name: array.copy() for name, array in base_arrays(first).items()}
    for array in shared.values():
        array.flags.writeable = False
    device = torch.device("cpu")
    before = second.learner(
        Classes(2), device, torch.float32
    )  # lent before; it shares the tensors all the same
    use_arrays(second, shared)
    assert all(np.shares_memory(array, shared[name]) for name, array in base_arrays(second).items())
    rows = random_rows(20, 4, 2)
    wanted = first.learner(Classes(2), device, torch.float32)
    for learner in (before, second.learner(Classes(2), device, torch.float32)):
        found, expected = (one.predict(FROZEN, one.read(FROZEN, rows), rows.x) for one in (learner, wanted))
        assert torch.equal(found, expected)


def test_a_backbone_that_holds_its_module_otherwise_keeps_its_own_memory():
    assert base_arrays(object()) == {}
    use_arrays(object(), {})
