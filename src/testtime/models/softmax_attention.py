r"""Softmax attention over labels and inputs with a ReLU read-out (Kuwataka and Suzuki, 2026).

One head with :math:`W^{KQ} = \mathrm{diag}(\Gamma, 1)` reads a prompt of N labelled rows and a query,

.. math:: g(x) = \sum_i y_i\,p_i,\qquad p_i \propto \exp\{(y_i + x_i^\top\Gamma x)/\rho\},\qquad
          f(x) = \sum_j a_j\,\mathrm{relu}(v_j\,g(x) + b_j),

and at test time :math:`\Gamma` becomes :math:`\Gamma + u u^\top` with a trainable vector u (a LoRA of rank
one).

Labels are clipped before they enter the attention: for polynomial links of degree three and more
:math:`E\,e^{y/\rho}` is infinite, and without the clip the softmax collapses on the largest label as N grows.

Dimension key: B=tasks  N=context rows  Q=query rows  C=queries in a chunk  D=input dimension  M=hidden units
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from testtime.errors import InputError, sentence

__all__ = ["Attended", "SoftmaxAttention", "softmax_attention"]

CHUNK_ELEMENTS = 1 << 17
"""Largest number of attention weights held at once, unless one query per task is already more."""


@dataclass(frozen=True, eq=False)
class Attended:
    """What the attention read from the context.

    Attributes
    ----------
    label
        Attention-weighted label g, shape `(B, Q)`.
    covariance
        Attention covariance of label and input, :math:`\\sum_i p_i (y_i - g) x_i`, shape `(B, Q, D)`; None
        unless asked for. It is :math:`\\rho` times the derivative of g in :math:`\\Gamma x`.
    """

    label: Tensor
    covariance: Tensor | None = None


def _attend(
    keys_BND: Tensor, labels_BN: Tensor, projected_BCD: Tensor, temperature: float, with_covariance: bool
) -> tuple[Tensor, Tensor | None]:
    """Attend from one chunk of queries that :math:`\\Gamma` has been applied to."""
    scores_BCN = (labels_BN[:, None, :] + projected_BCD @ keys_BND.transpose(1, 2)) / temperature
    weights_BCN = torch.softmax(scores_BCN, dim=-1)  # subtracts the row maximum: no overflow at any score
    label_BC = (weights_BCN @ labels_BN[:, :, None])[..., 0]
    if not with_covariance:
        return label_BC, None
    weighted_BCN = weights_BCN * (labels_BN[:, None, :] - label_BC[..., None])
    return label_BC, weighted_BCN @ keys_BND


def softmax_attention(
    keys_BND: Tensor,
    labels_BN: Tensor,
    queries_BQD: Tensor,
    gamma_DD: Tensor,
    *,
    temperature: float = 1.0,
    clip: float = 3.0,
    with_covariance: bool = False,
    chunk: int | None = None,
) -> Attended:
    r"""Attention-weighted labels of the queries, in memory linear in N.

    Parameters
    ----------
    keys_BND, labels_BN
        Labelled context rows of each task.
    queries_BQD
        Inputs to predict; B may be 1 on either side, the other is then shared.
    gamma_DD
        The key-query matrix :math:`\Gamma`, shape `(D, D)`.
    temperature
        Softmax temperature :math:`\rho` > 0, in units of y.
    clip
        Labels enter as :math:`\max(-clip, \min(clip, y))`; infinity switches the clip off.
    with_covariance
        Whether to return the attention covariance as well.
    chunk
        Queries per chunk; None keeps the attention weights of one chunk near a hundred thousand numbers. With
        gradients on, chunks are recomputed in the backward pass, so the bound holds there too.

    Raises
    ------
    InputError
        If the temperature or the clip is not positive, or the context is empty.
    """
    if not (0 < temperature < inf) or not clip > 0:
        raise InputError(
            sentence(
                f"temperature={temperature}, clip={clip}",
                expected="a finite temperature and a clip above 0",
                why="both divide or bound the labels in the softmax",
            )
        )
    if keys_BND.shape[1] == 0:
        raise InputError(
            sentence(
                "a context of 0 rows", expected="at least 1", why="attention averages over the context rows"
            )
        )
    n_tasks = max(keys_BND.shape[0], queries_BQD.shape[0])
    keys_BND = keys_BND.expand(n_tasks, -1, -1)
    labels_BN = labels_BN.clamp(-clip, clip).expand(n_tasks, -1)
    projected_BQD = (queries_BQD @ gamma_DD.T).expand(n_tasks, -1, -1)
    size = chunk or max(1, CHUNK_ELEMENTS // (n_tasks * keys_BND.shape[1]))
    parts = projected_BQD.split(size, dim=1)
    recompute = len(parts) > 1 and torch.is_grad_enabled()
    labels, covariances = [], []
    for part_BCD in parts:
        arguments = (keys_BND, labels_BN, part_BCD, temperature, with_covariance)
        if recompute:
            label_BC, covariance_BCD = checkpoint(_attend, *arguments, use_reentrant=False)  # type: ignore[misc]
        else:
            label_BC, covariance_BCD = _attend(*arguments)
        labels.append(label_BC)
        covariances.append(covariance_BCD)
    return Attended(torch.cat(labels, dim=1), torch.cat(covariances, dim=1) if with_covariance else None)


class SoftmaxAttention(nn.Module):
    r"""The one-layer transformer: attention, then a ReLU network of the attended label.

    Parameters
    ----------
    dim
        Input dimension D.
    width
        Hidden units M of the read-out.
    gamma
        Initial :math:`\Gamma`, shape `(D, D)`; None is :math:`I/\sqrt{D}`, the start of pretraining.
    temperature, clip
        See :func:`softmax_attention`.
    output_scale
        Every :math:`a_j` starts here. Small: during pretraining :math:`f \nabla f` must be negligible next to
        :math:`y \nabla f`.
    generator
        Draws the signs :math:`v_j`; None uses a fixed seed. Biases start at 0.
    """

    def __init__(
        self,
        dim: int,
        width: int = 64,
        *,
        gamma: Tensor | None = None,
        temperature: float = 1.0,
        clip: float = 3.0,
        output_scale: float = 1e-3,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        generator = generator or torch.Generator().manual_seed(0)
        self.temperature, self.clip = temperature, clip
        self.gamma_DD = nn.Parameter(torch.eye(dim) / dim**0.5 if gamma is None else gamma.clone())
        dtype = self.gamma_DD.dtype
        signs_M = torch.randint(0, 2, (width,), generator=generator) * 2 - 1
        self.direction_D = nn.Parameter(torch.zeros(dim, dtype=dtype))
        self.inner_M = nn.Parameter(signs_M.to(dtype))
        self.bias_M = nn.Parameter(torch.zeros(width, dtype=dtype))
        self.outer_M = nn.Parameter(torch.full((width,), output_scale, dtype=dtype))

    def adapted_gamma(self) -> Tensor:
        r""":math:`\Gamma + u u^\top`, shape `(D, D)`; u is zero until it is set."""
        return self.gamma_DD + torch.outer(self.direction_D, self.direction_D)

    def attended_label(
        self, keys_BND: Tensor, labels_BN: Tensor, queries_BQD: Tensor, chunk: int | None = None
    ) -> Tensor:
        """The scalar g that the read-out sees, shape `(B, Q)`."""
        return softmax_attention(
            keys_BND,
            labels_BN,
            queries_BQD,
            self.adapted_gamma(),
            temperature=self.temperature,
            clip=self.clip,
            chunk=chunk,
        ).label

    def read_out(self, scalar_BQ: Tensor) -> Tensor:
        """ReLU network of a scalar, same shape in and out."""
        hidden_BQM = torch.relu(scalar_BQ[..., None] * self.inner_M + self.bias_M)
        return hidden_BQM @ self.outer_M

    def forward(
        self, keys_BND: Tensor, labels_BN: Tensor, queries_BQD: Tensor, chunk: int | None = None
    ) -> Tensor:
        """In-context predictions for the queries, shape `(B, Q)`."""
        return self.read_out(self.attended_label(keys_BND, labels_BN, queries_BQD, chunk))

    def forward_direction(self, inputs_QD: Tensor) -> Tensor:
        r"""Predictions without a context, shape `(Q,)`.

        .. math:: f(x) = \sum_j a_j\,\mathrm{relu}(v_j\langle\hat u, x\rangle + b_j),\qquad \hat u = u/|u|
        """
        unit_D = self.direction_D / self.direction_D.norm().clamp_min(1e-30)
        return self.read_out(inputs_QD @ unit_D)
