"""Rows that are copies of each other, as when a rare class is oversampled: nothing may be read off them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from tests.support.columns import fitted
from tests.support.linear import LinearBackbone
from testtime.adapt.task import Classes
from testtime.backbones.base import Encoded
from testtime.cli.training import Training
from testtime.evaluation.splits import copies, hold_out
from testtime.table.columns import DataWarning
from testtime.table.encoding import EncodedRows
from testtime.table.forecast import signs
from testtime.table.levels import LevelStatistics


def oversampled(n: int = 300, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Random labels of which one in seven is rare, with the rare rows drawn until there are as many of them."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 3)), columns=list("abc"))
    frame["customer"] = [f"C{number}" for number in rng.permutation(10 * n)[:n]]
    frame["order_id"] = rng.permutation(10 * n)[:n]
    rare = np.arange(n) % 7 == 0
    rows = rng.permutation(np.r_[np.flatnonzero(~rare), rng.choice(np.flatnonzero(rare), (~rare).sum())])
    return frame.iloc[rows].reset_index(drop=True), np.where(rare, "pos", "neg")[rows]


class TestFound:
    def test_rows_that_are_equal_with_their_label(self):
        frame, labels = oversampled()
        codes = copies(frame, labels)
        keys = [str(row) for row in frame.itertuples(index=False)]
        assert np.array_equal(codes[:, None] == codes, np.array(keys)[:, None] == np.array(keys))

    def test_rows_that_coincide_in_coarse_columns_are_none(self):
        rng = np.random.default_rng(0)
        frame = pd.DataFrame({"sex": rng.choice(["f", "m"], 200), "class": rng.integers(1, 4, 200)})
        assert copies(frame, rng.integers(0, 2, 200)) is None

    def test_missing_values_are_equal(self):
        frame = pd.DataFrame({"a": [1.0, np.nan, np.nan, 2.0], "b": ["x", None, None, "x"]})
        assert copies(frame, [0.5, 0.25, 0.25, 0.5]).tolist() == [0, 1, 1, 2]
        assert copies(frame, [0.5, 0.25, 0.75, 0.5]) is None


class TestHeldOut:
    def test_copies_are_on_one_side_and_classes_have_their_shares(self):
        frame, labels = oversampled()
        codes = copies(frame, labels)
        rows, held = hold_out(labels, 0.2, 0, copies=codes)
        assert not set(codes[rows]) & set(codes[held])
        assert sorted([*rows, *held]) == list(range(len(labels)))
        once = pd.Series(labels).groupby(codes).first()
        shares = once[np.unique(codes[held])].value_counts() / once.value_counts()
        assert shares.to_numpy() == pytest.approx([0.2, 0.2], abs=0.02)

    def test_groups_that_share_a_copy_are_held_out_together(self):
        groups = np.repeat(np.arange(50), 4)
        same = np.arange(200)
        same[4::4] = same[3:-1:4]  # the last row of each group is the first of the next
        assert len(hold_out(np.zeros(200), 0.2, 0, groups=groups)[1]) == 40
        assert len(hold_out(np.zeros(200), 0.2, 0, groups=groups, copies=same)[1]) == 0

    def test_the_command_line_says_so(self):
        frame, labels = oversampled()
        data = Training(frame, pd.Series(labels))
        rows, held, said = data.split(0.2, 0, numeric=False)
        assert "copies are on one side" in said
        assert not set(rows.X["customer"]) & set(held.X["customer"])
        # Under an identifier that tells them apart they are copies all the same.
        data = Training(frame.assign(row=np.arange(len(frame))), pd.Series(labels))
        assert "copies" not in data.split(0.2, 0, numeric=False)[2]
        rows, held, said = data.split(0.2, 0, numeric=False, unseen=["row"])
        assert "copies are on one side" in said
        assert not set(rows.X["customer"]) & set(held.X["customer"])


def test_identifiers_are_left_out_though_each_occurs_several_times():
    frame, _ = oversampled()
    with pytest.warns(DataWarning, match="but for copies of whole rows"):
        columns, _ = fitted(frame)
    assert columns.required == ("a", "b", "c")
    once, _ = fitted(frame.drop_duplicates().reset_index(drop=True))
    assert once.required == columns.required


def test_a_share_counts_rows_that_belong_together_once():
    codes = np.array([0.0, 0.0, 0.0, 1.0, 1.0, np.nan])
    encoded = Encoded(np.tile(codes, 4)[:, None], ("town",), ("nominal",), (20,))
    y, groups = np.arange(24) % 2, np.repeat(np.arange(12), 2)
    found = LevelStatistics.fit(encoded, y, 2, groups).columns[0].shares
    # Groups are rows 0-1, 2-3, 4-5 of each six: levels 0; 0 and 1; 1 and none.
    assert found[:2].tolist() == [8 / 12, 8 / 12]
    assert LevelStatistics.fit(encoded, y, 2).columns[0].shares[:2].tolist() == [12 / 24, 8 / 24]


def test_where_all_rows_belong_together_no_level_is_told():
    rng = np.random.default_rng(0)
    encoded = Encoded(rng.integers(0, 30, 200).astype(float)[:, None], ("shop",), ("nominal",), (30,))
    y = rng.integers(0, 2, 200)
    levels = LevelStatistics.fit(encoded, y, 2)
    told = levels.cross_fitted(encoded, y, 0, np.zeros(200, dtype=np.int64))
    assert np.array_equal(told[:, 1], np.full(200, y.mean()))
    assert np.array_equal(told[:, 2], levels.transform(encoded)[:, 2])


class TestForecast:
    def rows(self) -> tuple[EncodedRows, np.ndarray]:
        rng = np.random.default_rng(0)
        drawn = np.sort(rng.integers(0, 100, 400))
        x, y = rng.normal(size=(100, 3))[drawn], rng.integers(0, 2, 100)[drawn]
        return EncodedRows(Encoded(x, tuple("abc"), ("number",) * 3, (0,) * 3), x, y), drawn

    def asked(self, rows: EncodedRows, monkeypatch) -> list[tuple[np.ndarray, np.ndarray]]:
        """Context and asked rows of everything that the frozen model is measured on."""
        seen = []

        def watched(learner, weights, view, context, x):
            seen.append((context[0], x))
            return answer(learner, weights, view, context, x)

        answer = signs.answer_rows
        monkeypatch.setattr(signs, "answer_rows", watched)
        signs.read_signs(LinearBackbone(), Classes(2), rows, np.random.SeedSequence(0), torch.device("cpu"))
        return seen

    def test_no_copy_of_a_row_that_is_asked_about_is_in_the_context(self, monkeypatch):
        rows, _ = self.rows()
        for context, asked in self.asked(rows, monkeypatch):
            assert len(asked) >= 80
            assert not (context[:, None] == asked).all(2).any()

    def test_nor_is_a_row_of_its_group(self, monkeypatch):
        rows, groups = self.rows()
        apart = np.random.default_rng(1).normal(size=rows.x.shape)
        rows = replace(rows, encoded=replace(rows.encoded, x=apart), x=apart, groups=groups)
        of_row = {row.tobytes(): group for row, group in zip(apart, groups, strict=True)}
        for context, asked in self.asked(rows, monkeypatch):
            assert not {of_row[row.tobytes()] for row in context} & {of_row[row.tobytes()] for row in asked}
