"""One copy of a base model for all processes of a machine: its weights are used from memory that is read-only."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.grouped import grouped_table, quick
from tests.support.models import random_rows, tiny_backbone
from testtime.adapt.learner import FROZEN
from testtime.adapt.task import Classes
from testtime.backbones.modules import base_arrays, use_arrays
from testtime.errors import BackboneError
from testtime.scale.groups import Outcome
from testtime.scale.groups.cluster import Worker
from testtime.scale.groups.sources import batches, source_of
from testtime.scale.groups.work import Job


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


def test_a_worker_adapts_with_them_and_refuses_another_base(tiny_embedded, tmp_path):
    job = Job(str(tmp_path / "store"), "y", "TTTClassifier", quick().get_params(deep=False), 0, 64)
    arrays, table = base_arrays(tiny_embedded), grouped_table({"a": 66, "b": 66})
    with pytest.raises(BackboneError, match=r"has the fingerprint \w{12}; expected f{12}"):
        Worker(job, "f" * 64, arrays)
    worker = Worker(job, tiny_embedded.fingerprint, arrays)
    [batch] = batches(source_of(table, ["shop"]), 2)
    assert [outcome.outcome for outcome in worker.adapt(batch)] == [Outcome.ADAPTED] * 2
