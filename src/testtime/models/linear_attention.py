"""One layer of linear attention, the in-context learner whose test-time training can be solved exactly.

The prediction for a query x is :math:`x^\\top W X^\\top y`: attention without softmax, with keys and
queries merged into one matrix W (Gozeten et al., 2025, section 2). One step of test-time training on the
sum of squares over k labelled rows is a rank-one change of W (their Proposition 3.1).

Dimension key: ``B`` tasks, ``N`` context rows, ``K`` training rows, ``Q`` query rows, ``D`` inputs. ``B``
may be absent.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from testtime.errors import InputError, sentence

__all__ = [
    "LinearAttention",
    "StepRule",
    "predict",
    "rank_one_update",
    "training_loss",
    "ttt_step",
    "ttt_steps",
]

StepRule = Literal["fixed", "normalized"]


class LinearAttention(nn.Module):
    """A linear in-context learner: ``y = x' W X' y_context``.

    Parameters
    ----------
    dim
        Number of inputs ``D``.
    weight
        Initial ``W``, shape ``(D, D)``, or a number for that multiple of the identity.
    dtype, device
        Of the parameter; predictions have the dtype of the rows.

    Attributes
    ----------
    weight
        The parameter ``W``, shape ``(D, D)``.

    >>> model = LinearAttention(2, weight=0.5, dtype=torch.float64)
    >>> X = torch.eye(2, dtype=torch.float64)
    >>> model(X, torch.tensor([1.0, 2.0], dtype=torch.float64), X).detach()
    tensor([0.5000, 1.0000], dtype=torch.float64)
    """

    def __init__(
        self,
        dim: int,
        weight: float | Tensor = 0.0,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        if isinstance(weight, Tensor):
            weight_DD = weight.detach().to(dtype=dtype, device=device).clone()
        else:
            weight_DD = weight * torch.eye(dim, dtype=dtype, device=device)
        if weight_DD.shape != (dim, dim):
            raise InputError(
                sentence(f"weight has shape {tuple(weight_DD.shape)}", expected=f"({dim}, {dim})")
            )
        self.weight = nn.Parameter(weight_DD)

    def forward(
        self, X_context: Tensor, y_context: Tensor, X_query: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """Predict the labels of the query rows.

        Parameters
        ----------
        X_context, y_context, X_query
            Shapes ``(B, N, D)``, ``(B, N)`` and ``(B, Q, D)``, or all three without ``B``.
        weight
            Used instead of the parameter: ``(D, D)``, or ``(B, D, D)`` with one matrix per task as
            :meth:`adapt` returns.

        Returns
        -------
        Tensor
            Shape ``(B, Q)``, in the dtype of the rows.
        """
        weight_BDD = self.weight if weight is None else weight
        return predict(weight_BDD.to(X_context.dtype), X_context, y_context, X_query)

    def adapt(
        self,
        X_context: Tensor,
        y_context: Tensor,
        X_train: Tensor,
        y_train: Tensor,
        step_size: float | Tensor,
        step: StepRule = "fixed",
    ) -> Tensor:
        """Return the weights after one step of test-time training on each task; the parameter is left as
        it is.

        The step is differentiable in the parameter, the rows and `step_size`, so that pretraining through
        it works.

        Parameters
        ----------
        X_context, y_context
            Shapes ``(B, N, D)`` and ``(B, N)``, or without ``B``.
        X_train, y_train
            The labelled rows trained on, shapes ``(B, K, D)`` and ``(B, K)``, or without ``B``.
        step_size
            The rate of the gradient of the *sum* of squares; one number or one per task, shape ``(B,)``.
        step
            ``"fixed"``: the rate itself; ``"normalized"``: the rate over the squared norm of ``X' y`` of
            the context, and no step where that is zero: nothing is written along it.

        Returns
        -------
        Tensor
            Shape ``(B, D, D)``, or ``(D, D)`` for one task.
        """
        weight_DD = self.weight.to(X_context.dtype)
        if X_context.ndim == 2:
            return ttt_step(weight_DD, X_context, y_context, X_train, y_train, step_size, step)
        return ttt_steps(weight_DD, X_context, y_context, X_train, y_train, step_size, step)


def predict(weight: Tensor, X_context: Tensor, y_context: Tensor, X_query: Tensor) -> Tensor:
    """Return ``x' W X' y_context`` for each query row, shape ``(B, Q)``; see
    :meth:`LinearAttention.forward`.

    Raises
    ------
    InputError
        If the numbers of inputs or of context rows do not match.
    """
    dim = weight.shape[-1]
    if X_context.shape[-1] != dim or X_query.shape[-1] != dim or y_context.shape != X_context.shape[:-1]:
        raise InputError(
            sentence(
                f"context {tuple(X_context.shape)}, labels {tuple(y_context.shape)}, "
                f"queries {tuple(X_query.shape)}",
                expected=f"(B, N, {dim}), (B, N) and (B, Q, {dim})",
                why=f"the weight is {dim} x {dim}",
            )
        )
    summary_BD = torch.einsum("...nd,...n->...d", X_context, y_context)
    coefficients_BD = torch.einsum("...ij,...j->...i", weight, summary_BD)
    return torch.einsum("...qd,...d->...q", X_query, coefficients_BD)  # (B, Q)


def training_loss(
    weight: Tensor, X_context: Tensor, y_context: Tensor, X_train: Tensor, y_train: Tensor
) -> Tensor:
    """Return the sum over the training rows of the squared error, shape ``(B,)``.

    Raises
    ------
    InputError
        If there is not one label for each training row, or the other shapes do not match.
    """
    residual_BK = _residual(weight, X_context, y_context, X_train, y_train)
    return residual_BK.square().sum(dim=-1)  # (B,)


def _residual(
    weight: Tensor, X_context: Tensor, y_context: Tensor, X_train: Tensor, y_train: Tensor
) -> Tensor:
    """Return what the predictions leave of the training labels, ``(B, K)``; a subtraction alone would broadcast."""
    predicted_BK = predict(weight, X_context, y_context, X_train)
    if y_train.shape != predicted_BK.shape:
        raise InputError(
            sentence(
                f"training labels {tuple(y_train.shape)} for training rows {tuple(X_train.shape)}",
                expected=f"labels of shape {tuple(predicted_BK.shape)}",
                why="every training row has one label",
            )
        )
    return y_train - predicted_BK


def ttt_step(
    weight: Tensor,
    X_context: Tensor,
    y_context: Tensor,
    X_train: Tensor,
    y_train: Tensor,
    step_size: float | Tensor,
    step: StepRule = "fixed",
) -> Tensor:
    """Take one gradient step on one task, by automatic differentiation of :func:`training_loss`.

    Parameters and shapes are those of :meth:`LinearAttention.adapt` without ``B``; `weight` is ``(D, D)``.
    """
    gradient_DD = torch.func.grad(training_loss)(weight, X_context, y_context, X_train, y_train)
    return weight - _rate(X_context, y_context, step_size, step) * gradient_DD


def ttt_steps(
    weight: Tensor,
    X_context: Tensor,
    y_context: Tensor,
    X_train: Tensor,
    y_train: Tensor,
    step_size: float | Tensor,
    step: StepRule = "fixed",
) -> Tensor:
    """Take one gradient step on each of B tasks at once: the vectorised twin of :func:`ttt_step`.

    `weight` is ``(D, D)``, shared by the tasks, or ``(B, D, D)``, one per task, which is how further steps
    are taken.
    """
    rates_B = torch.as_tensor(step_size, dtype=X_context.dtype, device=X_context.device).expand(
        len(X_context)
    )
    weight_axis = 0 if weight.ndim == 3 else None

    def one_task(
        weight_DD: Tensor, X: Tensor, y: Tensor, X_train: Tensor, y_train: Tensor, rate: Tensor
    ) -> Tensor:
        return ttt_step(weight_DD, X, y, X_train, y_train, rate, step)

    in_dims = (weight_axis, 0, 0, 0, 0, 0)
    return torch.func.vmap(one_task, in_dims=in_dims)(weight, X_context, y_context, X_train, y_train, rates_B)


def rank_one_update(
    weight: Tensor,
    X_context: Tensor,
    y_context: Tensor,
    X_train: Tensor,
    y_train: Tensor,
    step_size: float | Tensor,
    step: StepRule = "fixed",
) -> tuple[Tensor, Tensor]:
    r"""Return the two vectors whose outer product is one step of test-time training.

    .. math:: W_{TT} = W + 2\eta\, G u^\top,\qquad u = X^\top y,\quad G = X_t^\top(y_t - X_t W u)

    with :math:`\eta` ``step_size`` (over :math:`|u|^2` when normalized), :math:`X, y` the context and
    :math:`X_t, y_t` the training rows.  Exact for every shape.  Source: Gozeten et al. (2025), Proposition
    3.1.

    Returns
    -------
    tuple of Tensor
        ``2 eta G`` and ``u``, each ``(B, D)`` or ``(D,)``.

    Raises
    ------
    InputError
        As in :func:`training_loss`.
    """
    summary_BD = torch.einsum("...nd,...n->...d", X_context, y_context)
    residual_BK = _residual(weight, X_context, y_context, X_train, y_train)
    direction_BD = torch.einsum("...kd,...k->...d", X_train, residual_BK)
    rate_B1 = _rate(X_context, y_context, step_size, step).unsqueeze(-1)
    return 2.0 * rate_B1 * direction_BD, summary_BD


def _rate(X_context: Tensor, y_context: Tensor, step_size: float | Tensor, step: StepRule) -> Tensor:
    """Return the rate of the gradient, in the dtype of the rows."""
    rate = torch.as_tensor(step_size, dtype=X_context.dtype, device=X_context.device)
    if step == "fixed":
        return rate
    if step != "normalized":
        raise InputError(sentence(f"step={step!r}", expected="'fixed' or 'normalized'"))
    summary_BD = torch.einsum("...nd,...n->...d", X_context, y_context)
    size_B = summary_BD.square().sum(dim=-1)
    empty_B = size_B == 0
    # the divisor is replaced first: a NaN that is only masked afterwards comes back in the gradient
    return torch.where(empty_B, 0.0, rate / torch.where(empty_B, 1.0, size_B))  # (B,)
