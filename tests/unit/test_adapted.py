"""A fitted table: its context is read once, whatever is asked of it, by one thread or several, and copies agree."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest
import torch

from tests.support.linear import LinearBackbone
from tests.support.models import load_tiny
from tests.support.tables import fitted, linear_table
from testtime.adapt.delta import Delta
from testtime.adapt.learner import FROZEN
from testtime.backbones import embedded
from testtime.backbones.base import Encoded
from testtime.errors import InputError
from testtime.table import adapted as adapted_module
from testtime.table.adapted import AdaptedTable

FRAME, Y = linear_table()
NEW, _ = linear_table(50, seed=1)


class Counter:
    """Counts the calls of learners."""

    def __init__(self) -> None:
        self.read: list[int] = []
        self.predicted: list[int] = []

    def __call__(self, what: str, weights, context, x) -> None:
        if what == "read":
            self.read.append(len(context))
        else:
            self.predicted.append(len(x))

    def clear(self) -> None:
        self.read.clear()
        self.predicted.clear()


def counted(**params) -> tuple[AdaptedTable, Counter]:
    counter = Counter()
    table = fitted(LinearBackbone(counter), FRAME, Y, **params)
    counter.clear()
    return table, counter


class TestContextIsReadOnce:
    def test_by_each_member_at_the_first_prediction(self):
        table, counter = counted(n_members=4)
        assert len(table.members) >= 4
        table.predict(NEW)
        assert counter.read == [160] * len(table.members)
        counter.clear()
        for rows in (NEW, NEW.head(1), FRAME):
            table.predict(rows)
        assert counter.read == []
        assert len(counter.predicted) == 3 * len(table.members)

    def test_threads_that_begin_together_read_it_once(self):
        table, counter = counted(n_members=4)
        expected = table.predict_at(NEW, table.record.n_context)
        counter.clear()
        meeting = threading.Barrier(6, timeout=30)
        answers: list[np.ndarray] = []

        def ask() -> None:
            meeting.wait()
            answers.append(table.predict(NEW))

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(counter.read) == len(table.members)
        assert len(answers) == 6
        assert all(np.array_equal(answer, expected) for answer in answers)

    def test_another_length_is_read_anew_and_does_not_stay(self):
        table, counter = counted(n_members=4)
        before = table.predict(NEW)
        counter.clear()
        table.predict_at(NEW, 40)
        assert counter.read == [40] * len(table.members)
        counter.clear()
        assert np.array_equal(table.predict(NEW), before)
        assert counter.read == []

    def test_many_rows_come_in_pieces(self, monkeypatch: pytest.MonkeyPatch):
        table, counter = counted(n_members=4)
        whole = table.predict(NEW)
        monkeypatch.setattr(adapted_module, "_ROWS_AT_ONCE", 7)
        counter.clear()
        assert np.allclose(table.predict(NEW), whole, rtol=1e-5, atol=0)
        assert max(counter.predicted) == 7
        assert sum(counter.predicted) == 50 * len(table.members)


def by_hand(table: AdaptedTable, n_context: int, members) -> np.ndarray:
    """Every member asked on its own, in one thread, and averaged by weight."""
    x, total = table.encoding.transform(NEW), 0.0
    for member in members:
        learner, view = (
            table.backbone.learner(table.task, table.device, table.dtype),
            table.views[member.view],
        )
        like = next(learner.module.parameters())
        weights = FROZEN if member.state is None else Delta(learner, table.spec).weights(member.state)
        with torch.no_grad():
            read = learner.read(weights, view.rows(table.x[:n_context], table.y[:n_context], like))
            answer = learner.answer(learner.predict(weights, read, view.features(x, like))).double().numpy()
        total = total + member.weight * view.answer(answer)
    return table.target.inverse(total, x)


class TestAnswers:
    @pytest.mark.parametrize("n_classes", [2, 3, 0])
    @pytest.mark.parametrize("params", [{"n_steps": 0}, {"n_members": 4}, {"guard": False, "adapt": "lora"}])
    def test_they_are_the_members_answers_averaged_by_weight(self, n_classes: int, params: dict):
        frame, y = linear_table(n_classes=n_classes)
        table = fitted(LinearBackbone(), frame, y, numeric=n_classes == 0, **params)
        assert sum(member.weight for member in table.members) == pytest.approx(1.0)
        served = table.predict(NEW)
        np.testing.assert_allclose(served, by_hand(table, table.record.n_context, table.members), rtol=1e-6)
        assert np.array_equal(table.predict_at(NEW, table.record.n_context), served)
        np.testing.assert_allclose(table.predict_at(NEW, 30), by_hand(table, 30, table.members), rtol=1e-6)
        if n_classes:
            np.testing.assert_allclose(served.sum(1), 1.0, atol=1e-6)
        else:
            assert (np.diff(served, axis=1) >= 0).all()

    def test_the_frozen_model_is_all_its_views_without_the_adapters(self):
        table, _ = counted(n_members=4)
        plain, _ = counted(n_members=4, n_steps=0)
        frozen = table.predict_at(NEW, 160, adapted=False)
        assert np.array_equal(frozen, plain.predict(NEW))
        assert np.abs(frozen - table.predict(NEW)).max() > 0.05

    @pytest.mark.parametrize(("n_classes", "least"), [(2, 2), (3, 3), (0, 1)])
    def test_contexts_that_are_not_there_are_refused(self, n_classes: int, least: int):
        frame, y = linear_table(n_classes=n_classes)
        table = fitted(LinearBackbone(), frame, y, numeric=n_classes == 0, n_steps=0)
        assert np.isfinite(table.predict_at(NEW, least)).all()
        for n_context in (least - 1, -5, 161):
            with pytest.raises(InputError, match=f"n_context={n_context}; expected {least} to 160, the rows"):
                table.predict_at(NEW, n_context)

    def test_contexts_are_nested(self):
        """Growing contexts are prefixes of one ordering that shows every class from the beginning."""
        frame, y = linear_table(n_classes=3)
        table = fitted(LinearBackbone(), frame, y, n_steps=0)
        assert set(table.y[:3]) == {0, 1, 2}
        assert table.described == Encoded(table.x, table.names, table.kinds, table.n_levels)


class TestCopies:
    @pytest.mark.parametrize("read_before", [True, False])
    @pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
    def test_they_answer_the_same_bits(self, read_before: bool, twin, tiny_embedded):
        table = fitted(embedded.load_embedded("classifier"), FRAME, Y, n_members=2, n_steps=3, guard=False)
        expected = copy.deepcopy(table).predict(NEW)
        if read_before:
            table.predict(NEW)
        assert np.array_equal(twin(table).predict(NEW), expected)

    def test_a_pickle_holds_adapters_and_neither_base_nor_cache(self, tiny_embedded):
        table = fitted(
            embedded.load_embedded("classifier"), FRAME, Y, n_members=2, n_steps=3, guard=False, adapt="head"
        )
        size = len(pickle.dumps(table))
        table.predict(NEW)
        assert len(pickle.dumps(table)) == size
        base = sum(p.numel() * 4 for p in load_tiny("classifier")._module.base.parameters())
        rows = table.x.nbytes + table.y.nbytes
        assert size < table.record.adapter_bytes + rows + 20_000
        assert base > 20_000


class TestTwoAdaptersOfOneModel:
    def test_they_share_the_tensors_of_the_base(self, tiny_embedded):
        backbone = embedded.load_embedded("classifier")
        tables = [fitted(backbone, FRAME, Y, seed, n_members=2, n_steps=3, guard=False) for seed in (0, 1)]
        learners = [t.backbone.learner(t.task, t.device, t.dtype) for t in tables]
        pairs = zip(*(learner.module.parameters() for learner in learners), strict=True)
        assert all(a is b for a, b in pairs)

    def test_they_answer_side_by_side_as_alone(self, tiny_embedded):
        backbone = embedded.load_embedded("classifier")
        tables = [fitted(backbone, FRAME, Y, seed, n_members=2, n_steps=3, guard=False) for seed in (0, 1)]
        alone = [copy.deepcopy(table).predict(NEW) for table in tables]
        assert not np.array_equal(*alone)
        answers: list[list[np.ndarray]] = [[], []]

        def ask(which: int) -> None:
            answers[which].extend(tables[which].predict(NEW) for _ in range(5))

        threads = [threading.Thread(target=ask, args=(which,)) for which in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for found, expected in zip(answers, alone, strict=True):
            assert len(found) == 5
            assert all(np.array_equal(answer, expected) for answer in found)
