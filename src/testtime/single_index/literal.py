r"""The three stages as Kuwataka and Suzuki (2026) write them, every step size an argument.

Nothing is standardised, clipped, centred, ranked, restarted or polished: one random start, one step of the student, one
pass of spherical SGD with a fixed random activation, one ridge, on four disjoint segments of the rows. The step of
pretraining itself is the key-query matrix :math:`\Gamma^*`, not a projector made of it.

Recipe and formulas were put together from public reviews and from Nishikawa et al. (2025), without the full text of the
paper; its step sizes are not known, which is why they are arguments here.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from testtime.errors import InputError, nearest, sentence
from testtime.results import Result
from testtime.single_index.pipeline import PAPER_SEGMENTS
from testtime.single_index.readout import Readout, fit_readout
from testtime.single_index.strong_recovery import online_sgd, random_network
from testtime.single_index.weak_recovery import attention_slopes, teacher

__all__ = ["STUDENTS", "LiteralStages", "literal_stages"]

Array = np.ndarray

STUDENTS = ("attention", "network", "random")
"""The transformer with :math:`\\Gamma^* + uu^\\top`, a random ReLU network of the query, or no stage I."""


@dataclass(frozen=True, eq=False)
class LiteralStages(Result):
    """What each stage found.

    Reference: Kuwataka and Suzuki (2026), the three stages.

    Attributes
    ----------
    start, weak, direction
        Unit directions before stage I, after it and after stage II, shape `(dim,)`.
    readout
        ReLU read-out along `direction`.
    n_rows
        Rows of the four segments.
    """

    start: Array
    weak: Array
    direction: Array
    readout: Readout
    n_rows: tuple[int, ...]

    @property
    def directions_(self) -> Array:
        """The direction as a row, shape `(1, dim)`."""
        return self.direction[None]

    def predict(self, X: Array) -> Array:
        """Predict labels of rows of shape `(n_rows, dim)`."""
        return self.readout((X @ self.direction)[:, None])


def literal_stages(
    X: Array,
    y: Array,
    gamma: Array,
    *,
    student: str = "attention",
    temperature: float = 1.0,
    n_queries: int = 2000,
    weak_decay: float = 1.0,
    weak_step: float = 1.0,
    strong_step: float = 0.01,
    width: int = 64,
    bias_range: float = 1.0,
    shares: tuple[float, float, float, float] = PAPER_SEGMENTS,
    rng: np.random.Generator,
) -> LiteralStages:
    r"""Run the stages once.

    .. math:: u_1 \propto (1-\eta_1\lambda_1)\,u_0 + \eta_1\sum_i t_i\,\nabla_u f(u_0; w_i),\qquad
              u \leftarrow \mathrm{normalise}\big(u + \eta\,y\,\phi'(\langle u,\tilde x\rangle)(I-uu^\top)\tilde x\big)

    :math:`t_i` are the teacher's answers to `n_queries` fresh queries, :math:`\tilde x` rows mapped by
    :math:`\Gamma^*`, :math:`\eta_1\lambda_1` `weak_decay`, :math:`\eta_1` `weak_step`, :math:`\eta` `strong_step`.

    Reference: Kuwataka and Suzuki (2026), the three stages.

    Parameters
    ----------
    X, y
        Labelled rows as they are, shapes `(n_rows, dim)` and `(n_rows,)`.
    gamma
        :math:`\Gamma^*`, shape `(dim, dim)`: ``pretrained.step`` times a step size.
    student
        One of :data:`STUDENTS`.
    temperature
        Of the attention.
    n_queries
        Unlabelled queries of stage I.
    weak_decay
        Share of its start that the step of stage I forgets; the paper's is 1.
    weak_step, strong_step
        Step sizes of stages I and II.
    width, bias_range
        Hidden units, and half-width of their biases, of activation and read-out.
    shares
        Shares of the rows in the segments N1 to N4.
    rng
        Draws start, queries, network and segments.

    Raises
    ------
    InputError
        If the student is unknown, or a segment has fewer than two rows.

    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((8000, 4))
    >>> found = literal_stages(X, 0.8 * X[:, 0] + 0.1 * X[:, 0] ** 2, 0.5 * np.eye(4), rng=rng)
    >>> bool(abs(found.direction[0]) > 0.9)
    True
    """
    if student not in STUDENTS:
        raise InputError(
            sentence(f"student={student!r} is not a student of stage I", remedy=nearest(student, STUDENTS))
        )
    ends = np.cumsum(np.round(np.array(shares) * len(X)).astype(int))[:-1]
    segments = np.split(rng.permutation(len(X)), ends)
    if min(len(rows) for rows in segments) < 2:
        raise InputError(
            sentence(f"{len(X)} rows in shares {shares}", expected="at least 2 rows in every segment")
        )
    first, second, third, fourth = segments
    mapped = gamma / np.abs(np.linalg.eigvalsh((gamma + gamma.T) / 2)).max()
    network = random_network(width, rng, bias_range)
    start = mapped @ rng.standard_normal(X.shape[1])
    start = start / np.linalg.norm(start)
    weak = start
    if student != "random":
        queries = rng.standard_normal((n_queries, X.shape[1]))
        answers = teacher(X[first], y[first], queries, gamma, temperature=temperature, clip=inf)
        points = queries @ mapped
        if student == "attention":
            slopes = attention_slopes(
                (X[second] @ mapped, y[second]), points, gamma, start, temperature=temperature
            )
            pull = answers @ slopes
        else:
            signs, biases = network
            z = points @ start
            pull = (answers * (signs * (signs * z[:, None] + biases > 0)).mean(axis=1)) @ points
        weak = (1.0 - weak_decay) * start + weak_step * pull
        size = np.linalg.norm(weak)
        weak = weak / size if np.isfinite(size) and size > 0 else start
    strong = online_sgd(X[third], y[third], weak, network=network, step_size=strong_step, projector=mapped.T)
    direction = strong.direction
    readout = fit_readout(
        (X[fourth] @ direction)[:, None], y[fourth], kind="relu", width=width, bias_range=bias_range, rng=rng
    )
    return LiteralStages(start, weak, direction, readout, tuple(len(rows) for rows in segments))
