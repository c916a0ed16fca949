r"""Gauss-Newton on the profile loss: the direction is searched, the link is eliminated.

For orthonormal directions :math:`u` let

.. math:: \ell(u) = \min_c \sum_i \big(y_i - f_c(u^\top x_i)\big)^2 + \lambda|c|^2

with the Hermite link of :mod:`testtime.single_index.hermite_ridge`. With :math:`J` the derivative of the
fitted values in `u` (coefficients held) and :math:`\Phi` the features, eliminating `c` leaves the curvature

.. math:: J J^\top - J\Phi^\top(\Phi\Phi^\top + \lambda I)^{-1}\Phi J^\top ,

Kaufman's form of variable projection (Golub and Pereyra, 2003).  A damped step (Levenberg-Marquardt) in the
tangent space is accepted only if the loss falls, so the loss never rises.  All candidates of all tasks move
together in batched matrix products; the worse candidates are dropped as the iterations go on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from testtime.single_index.hermite_ridge import HermiteBasis, HermiteFit, fit_links, hermite_basis

__all__ = ["ProfileFit", "gauss_newton", "orthonormal_rows"]

Array = np.ndarray


@dataclass(frozen=True)
class ProfileFit:
    """Directions after the search, best first.

    Attributes
    ----------
    directions
        Orthonormal rows, shape `(n_tasks, n_kept, n_directions, dim)`.
    loss
        Profile loss of each, shape `(n_tasks, n_kept)`, ascending.
    fit
        The links along them.
    """

    directions: Array
    loss: Array
    fit: HermiteFit


def orthonormal_rows(directions: Array) -> Array:
    """Orthonormalise the rows of each matrix, keeping their span; a zero row becomes a coordinate axis.

    >>> orthonormal_rows(np.array([[3.0, 4.0]])).tolist()
    [[0.6, 0.8]]
    """
    if directions.shape[-2] == 1:
        norm = np.linalg.norm(directions, axis=-1, keepdims=True)
        axis = np.zeros(directions.shape[-1])
        axis[0] = 1.0
        return np.where(norm > 0, directions / np.where(norm > 0, norm, 1.0), axis)
    q, r = np.linalg.qr(directions.swapaxes(-1, -2))
    sign = np.where(np.diagonal(r, axis1=-2, axis2=-1) < 0, -1.0, 1.0)
    return (q * sign[..., None, :]).swapaxes(-1, -2)


def gauss_newton(
    X: Array,
    y: Array,
    starts: Array,
    *,
    degree: int = 5,
    penalty: float = 1e-2,
    schedule: tuple[tuple[int, int], ...] = ((0, 16), (2, 6), (3, 3), (20, 1)),
    tolerance: float = 1e-7,
) -> ProfileFit:
    """Minimise the profile loss from several starts per task.

    Parameters
    ----------
    X
        Inputs, shape `(n_tasks, n_rows, dim)`.
    y
        Labels, shape `(n_tasks, n_rows)`.
    starts
        Orthonormal rows, shape `(n_tasks, n_starts, n_directions, dim)`.
    degree, penalty
        Total degree of the Hermite link and the ridge penalty on its coefficients (in the sum of squared
        errors).
    schedule
        Pairs (iterations, kept): after that many iterations only the `kept` best candidates of each task go
        on.
    tolerance
        Stop when no candidate expects to lower its loss by more than this fraction.
    """
    basis = hermite_basis(starts.shape[2], degree)
    inputs = np.ascontiguousarray(X.swapaxes(-1, -2))[:, None]  # tasks, 1, dim, rows
    labels = y[:, None, :]
    state = _State.begin(basis, inputs, labels, starts, penalty)
    for iterations, kept in schedule:
        for _ in range(iterations):
            expected = state.step(basis, inputs, labels, penalty)
            if np.all(expected <= tolerance * state.loss):
                break
        state.keep(kept)
    return ProfileFit(state.directions, state.loss, state.fit)


class _State:
    """Candidates on their way: directions, links and damping, all with axes (task, candidate, ...)."""

    def __init__(self, directions: Array, fit: HermiteFit, damping: Array) -> None:
        self.directions, self.fit, self.damping = directions, fit, damping

    @classmethod
    def begin(
        cls, basis: HermiteBasis, inputs: Array, labels: Array, starts: Array, penalty: float
    ) -> _State:
        fit = fit_links(basis, starts @ inputs, labels, penalty)
        return cls(starts, fit, np.ones(fit.loss.shape))

    @property
    def loss(self) -> Array:
        return self.fit.loss

    def step(self, basis: HermiteBasis, inputs: Array, labels: Array, penalty: float) -> Array:
        """Propose one damped Gauss-Newton step per candidate and take those that lower the loss.

        Returns the decrease that the quadratic model had expected, shape `(n_tasks, n_candidates)`.
        """
        directions, fit = self.directions, self.fit
        n_tasks, n_candidates, n_directions, dim = directions.shape
        slopes = np.einsum("tcf,jfg->tcjg", fit.coefficients, basis.derivatives) @ fit.design
        jacobian = (slopes[:, :, :, None, :] * inputs[:, :, None, :, :]).reshape(
            n_tasks, n_candidates, n_directions * dim, -1
        )
        gradient = jacobian @ fit.residuals[..., None]
        cross = fit.design @ jacobian.swapaxes(-1, -2)
        curvature = jacobian @ jacobian.swapaxes(-1, -2)
        curvature -= cross.swapaxes(-1, -2) @ np.linalg.solve(fit.gram, cross)
        # A turn inside the span of the directions is undone by the link: keep the part orthogonal to it.
        outside = np.eye(dim) - directions.swapaxes(-1, -2) @ directions
        if n_directions > 1:
            outside = np.einsum("ab,tcij->tcaibj", np.eye(n_directions), outside).reshape(curvature.shape)
        scale = np.trace(curvature, axis1=-2, axis2=-1) / (n_directions * dim) + 1e-300
        curvature = outside @ curvature @ outside
        # The directions themselves carry no gradient; this keeps the system regular along them.
        floor = np.eye(n_directions * dim) - outside
        curvature += scale[..., None, None] * (self.damping[..., None, None] * outside + floor)
        gradient = outside @ gradient
        move = np.linalg.solve(curvature, gradient)
        expected = (gradient * move).sum(axis=(-2, -1))
        move = move.reshape(directions.shape)
        proposed = orthonormal_rows(directions + move)
        new = fit_links(basis, proposed @ inputs, labels, penalty)
        taken = new.loss < fit.loss
        self.damping = np.where(taken, self.damping * 0.2, self.damping * 4.0)
        refused = ~taken
        if refused.any():  # write the old values over the refused ones: most proposals are taken
            proposed[refused] = directions[refused]
            for name in HermiteFit.__dataclass_fields__:
                getattr(new, name)[refused] = getattr(fit, name)[refused]
        self.directions, self.fit = proposed, new
        return expected

    def keep(self, kept: int) -> None:
        """Sort the candidates of each task by loss and keep the best."""
        order = np.argsort(self.loss, axis=1)[:, :kept]

        def take(values: Array) -> Array:
            return np.take_along_axis(values, order.reshape(*order.shape, *[1] * (values.ndim - 2)), axis=1)

        self.directions, self.damping = take(self.directions), take(self.damping)
        self.fit = HermiteFit(*(take(getattr(self.fit, name)) for name in HermiteFit.__dataclass_fields__))
