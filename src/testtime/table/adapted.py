"""A fitted table: everything that prediction needs, without scikit-learn, and nothing that training needed only."""

from __future__ import annotations

import numbers
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from testtime.adapt.delta import Delta, DeltaSpec
from testtime.adapt.learner import FROZEN, Learner, Weights, predict_rows
from testtime.adapt.memory import tensor_bytes
from testtime.adapt.parallel import side_by_side
from testtime.adapt.task import Task
from testtime.adapt.together import Together
from testtime.adapt.work import UNWATCHED, Work
from testtime.backbones.base import Backbone, Encoded, View
from testtime.errors import InputError, sentence
from testtime.results import Adaptation
from testtime.table.columns.file_habits import FileHabits
from testtime.table.encoding import TableEncoding
from testtime.table.filled import filled, never_missing
from testtime.table.target import Target

__all__ = ["AdaptedTable", "Member"]

_ROWS_AT_ONCE = 8_192
_CPU = torch.device("cpu")
_FILLED_AT_ONCE = 512
_MOST_OTHERS = 4  # tables without what some levels say, each with its own context in memory
_Ask: TypeAlias = "Callable[[AdaptedTable, NDArray[np.float64]], NDArray[np.float64]]"
_OWN = ("_served", "_others", "_lock", "_idle")  # of a process


@dataclass(frozen=True)
class Member:
    """One model whose answers are mixed.

    Attributes
    ----------
    view
        Index of the view it sees the table in.
    state
        Its delta; None for the frozen model.
    weight
        Its share of the answer.
    """

    view: int
    state: dict[str, torch.Tensor] | None
    weight: float


@dataclass(frozen=True)
class _Reading:
    """A member that has read its context: with it, rows can be predicted; it cannot be used with another one."""

    view: View
    weights: Weights
    read: Any
    weight: float


@dataclass(frozen=True)
class _Served:
    """All members with the context they have read; `together` where a few rows are predicted in one pass."""

    readings: tuple[_Reading, ...]
    together: Together | None = None


@dataclass(frozen=True)
class AdaptedTable:
    """A table a model was adapted to.

    Attributes
    ----------
    backbone, task
        The pretrained model, and what is predicted.
    encoding, target
        How rows and the target become numbers.
    x, y
        Encoded rows ``(M, D)`` and targets ``(M,)``; contexts are taken from the front. The first rows, as many as the
        backbone's views were made from, are what views are rebuilt from.
    views
        Of the backbone; a function of those rows and of the views' seed.
    view_seed, n_reference
        What the views were drawn with, and the number of rows they were made from.
    members
        What is mixed: weights sum to one.
    spec
        What the members' deltas change.
    record
        What was done and why; its ``n_context`` rows are served.
    names, kinds, n_levels
        Of the encoded columns, as in :class:`testtime.backbones.base.Encoded`.
    device, dtype
        Where predictions are computed.
    """

    backbone: Backbone
    task: Task
    encoding: TableEncoding
    target: Target
    x: NDArray[np.float64]
    y: NDArray
    views: tuple[View, ...]
    view_seed: int
    n_reference: int
    members: tuple[Member, ...]
    spec: DeltaSpec
    record: Adaptation
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    n_levels: tuple[int, ...]
    device: torch.device = _CPU
    dtype: torch.dtype = torch.float32
    _served: list[_Served] = field(default_factory=list, init=False, repr=False, compare=False)
    _others: dict[bytes, AdaptedTable] = field(default_factory=dict, init=False, repr=False, compare=False)
    _lock: Any = field(default_factory=threading.Lock, init=False, repr=False, compare=False)
    _idle: list[Learner] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def described(self) -> Encoded:
        """The encoded rows with the names and kinds of their columns."""
        return Encoded(self.x, self.names, self.kinds, self.n_levels)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key not in _OWN}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # What was read is read again.
        vars(self).update(state, _served=[], _others={}, _lock=threading.Lock(), _idle=[])

    def predict(
        self, frame: pd.DataFrame, *, file: FileHabits | None = None, work: Work = UNWATCHED
    ) -> NDArray[np.float64]:
        """Answers ``(q, A)`` for new rows: probabilities in the order of classes, or quantiles in the target's unit.

        The context is read once, at the first call, and kept. `file` says how the file is written of which the rows
        are a piece. `work` is told of every row and member.
        """
        return self.predict_encoded(self.encoding.transform(frame, file), work=work)

    def predict_encoded(self, x: NDArray[np.float64], *, work: Work = UNWATCHED) -> NDArray[np.float64]:
        """Answers for rows ``(q, D)`` that ``encoding.transform`` gave; rows of several callers may be joined."""
        return self._completed(x, lambda table, rows: table._answers(table._reading(), rows, work))

    def _completed(self, x: NDArray[np.float64], ask: _Ask) -> NDArray[np.float64]:
        """Answers in the target's unit; rows with cells that were never missing at fit are asked for several times."""
        n_given = self.x.shape[1] - self.encoding.levels.width
        missing = np.isnan(x[:, :n_given])
        if not missing.any():
            return self._by_strangeness(x, ask)
        wanting = missing & never_missing(self.x, n_given)
        rows = np.flatnonzero(wanting.any(axis=1))
        if not len(rows):
            return self._by_strangeness(x, ask)
        others = np.setdiff1d(np.arange(len(x)), rows)
        order, pieces = [others], [self._by_strangeness(x[others], ask)] if len(others) else []
        for begin in range(0, len(rows), _FILLED_AT_ONCE):
            some = rows[begin : begin + _FILLED_AT_ONCE]
            full = filled(x[some], wanting[some], self.x, self.encoding.levels)
            answers = self._by_strangeness(full.reshape(-1, x.shape[1]), ask)
            order.append(some)
            pieces.append(self.task.pooled(answers.reshape(*full.shape[:2], -1)))
        return np.concatenate(pieces)[np.argsort(np.concatenate(order))]

    def _by_strangeness(
        self,
        x: NDArray[np.float64],
        ask: _Ask,
    ) -> NDArray[np.float64]:
        """Answers in the target's unit: this table's, and for rows with a level nobody has seen those without it.

        What rows of a level say outweighs what else is known of a row. Where all levels were seen several times, the
        model lets it do so for new ones too, of which nothing is said, and is then far worse than without.
        """
        wrong = self.encoding.levels.misleading(x)
        if not wrong.any():
            return self.target.inverse(ask(self, x), x)
        order, pieces = [], []
        patterns, of_row = np.unique(wrong, axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            rows = np.flatnonzero(of_row.ravel() == number)
            table, left = self._without(pattern) if pattern.any() else (self, np.arange(x.shape[1]))
            order.append(rows)
            pieces.append(ask(table, x[np.ix_(rows, left)]))
        answers = np.concatenate(pieces)[np.argsort(np.concatenate(order))]
        return self.target.inverse(answers, x)

    def _without(self, columns: NDArray[np.bool_]) -> tuple[AdaptedTable, NDArray[np.int64]]:
        """The frozen model on the same rows without what levels of some columns say, and the places that are left.

        It answers encoded rows, in the unit that the model sees.
        """
        left = self.encoding.levels.left_without(columns, self.x.shape[1])
        key = columns.tobytes()
        with self._lock:
            if key not in self._others:
                while len(self._others) >= _MOST_OTHERS:
                    self._others.pop(next(iter(self._others)))
                self._others[key] = self._frozen_on(left)
            return self._others[key], left

    def _frozen_on(self, places: NDArray[np.int64]) -> AdaptedTable:
        names = tuple(self.names[at] for at in places)
        kinds = tuple(self.kinds[at] for at in places)
        n_levels = tuple(self.n_levels[at] for at in places)
        x, members = self.x[:, places], self._frozen_members()
        y = self.target.with_levels(self.y, self.x, np.setdiff1d(np.arange(self.x.shape[1]), places))
        reference = Encoded(x[: self.n_reference], names, kinds, n_levels)
        seed = np.random.SeedSequence(self.view_seed)
        views = self.backbone.views(reference, y[: self.n_reference], self.task, len(members), seed)
        return replace(
            self, x=x, y=y, views=tuple(views), members=members, names=names, kinds=kinds, n_levels=n_levels
        )

    def read_context(self) -> int:
        """Read the context now, if that was not done; return the bytes that are held to predict with it."""
        held = [(reading.weights, reading.read) for reading in self._reading().readings]
        return tensor_bytes(held) + self.x.nbytes + self.y.nbytes

    def _reading(self) -> _Served:
        with self._lock:
            if not self._served:
                readings = self._read(self.members, self._context(self.record.n_context))
                self._served.append(self._side_by_side(readings))
            return self._served[0]

    def _side_by_side(self, readings: list[_Reading]) -> _Served:
        """Let the members' tensors lie side by side, where the backbone can predict from them in one pass."""
        if not self.backbone.recipe.together_rows or len(readings) == 1:
            return _Served(tuple(readings))
        with self._learner() as learner, torch.no_grad():
            together = Together.of(learner, [one.weights for one in readings], [one.read for one in readings])
        views = [
            replace(one, weights=weights, read=read)
            for one, (weights, read) in zip(readings, together.apart(), strict=True)
        ]
        return _Served(tuple(views), together)

    def predict_at(
        self, frame: pd.DataFrame, n_context: int, *, adapted: bool = True, work: Work = UNWATCHED
    ) -> NDArray[np.float64]:
        """Answers with another context length, or of the frozen model alone, for learning curves.

        Raises
        ------
        InputError
            When that many context rows are not there.
        """

        def ask(table: AdaptedTable, x: NDArray[np.float64]) -> NDArray[np.float64]:
            members = table.members if adapted else table._frozen_members()
            readings = table._read(members, table._context(n_context))
            return table._answers(_Served(tuple(readings)), x, work)

        return self._completed(self.encoding.transform(frame), ask)

    def _context(self, n_context: int) -> tuple[NDArray[np.float64], NDArray]:
        least = max(1, self.task.n_classes)
        whole = isinstance(n_context, numbers.Integral) and not isinstance(n_context, bool)
        if not whole or not least <= n_context <= len(self.y):
            got = f"n_context={n_context if whole else repr(n_context)}"
            expected = f"{least} to {len(self.y)}, the rows that are at hand"
            raise InputError(sentence(got, expected=expected if whole else f"an integer from {expected}"))
        return self.x[:n_context], self.y[:n_context]

    def _frozen_members(self) -> tuple[Member, ...]:
        n_views = self.record.n_views
        return tuple(Member(view, None, 1.0 / n_views) for view in range(n_views))

    @contextmanager
    def _learner(self) -> Iterator[Learner]:
        """Lend a learner to one thread; to make one costs more than to predict a row with it."""
        try:
            learner = self._idle.pop()
        except IndexError:
            learner = self.backbone.learner(self.task, self.device, self.dtype)
        try:
            yield learner
        finally:
            self._idle.append(learner)

    def _read(
        self, members: Sequence[Member], context: tuple[NDArray[np.float64], NDArray]
    ) -> list[_Reading]:
        def read(member: Member) -> _Reading:
            view = self.views[member.view]
            with self._learner() as learner, torch.no_grad():
                weights = FROZEN if member.state is None else Delta(learner, self.spec).weights(member.state)
                rows = view.rows(*context, next(learner.module.parameters()))
                return _Reading(view, weights, learner.read(weights, rows), member.weight)

        return side_by_side([lambda member=member: read(member) for member in members])

    def _answers(self, served: _Served, x: NDArray[np.float64], work: Work) -> NDArray[np.float64]:
        """Answers as the model gives them, some thousand rows at a time, so that memory does not grow with the rows."""
        readings = served.readings
        work.plan(len(x) * len(readings))
        if served.together is not None and len(x) <= self.backbone.recipe.together_rows:
            pieces = [self._mixed_together(served.together, readings, x)]
            work.done(len(x) * len(readings))
        else:
            pieces = [
                self._mixed(readings, x[begin : begin + _ROWS_AT_ONCE], work)
                for begin in range(0, len(x), _ROWS_AT_ONCE)
            ]
        return np.concatenate(pieces)

    def _mixed(self, readings: Sequence[_Reading], x: NDArray[np.float64], work: Work) -> NDArray[np.float64]:
        def answers(reading: _Reading) -> NDArray[np.float64]:
            with self._learner() as learner, torch.no_grad():
                features = reading.view.features(x, next(learner.module.parameters()))
                output = learner.answer(predict_rows(learner, reading.weights, reading.read, features))
            work.done(len(x))
            return reading.weight * reading.view.answer(output.double().cpu().numpy())

        return np.sum(side_by_side([lambda one=one: answers(one) for one in readings]), axis=0)

    def _mixed_together(
        self, together: Together, readings: Sequence[_Reading], x: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        with self._learner() as learner, torch.no_grad():
            like = next(learner.module.parameters())
            features = torch.stack([one.view.features(x, like) for one in readings])
            outputs = learner.answer(together.predict(learner, features)).double().cpu().numpy()
        answers = [
            one.weight * one.view.answer(output) for one, output in zip(readings, outputs, strict=True)
        ]
        return np.sum(answers, axis=0)
