r"""Direction and read-out trained together, to see what the split into stages costs.

The three stages first find the direction and then fit the read-out. The paper leaves open whether
training both at once by gradient descent from the same start does better:

.. math:: \min_{u, a}\ \frac1N\sum_i
          \Big(y_i - \sum_j a_j\,\mathrm{relu}(v_j\langle\hat u, x_i\rangle + b_j)\Big)^2 + \lambda |a|^2 .

:func:`joint_training` does that by autograd on the model itself (the vector u of its LoRA and the output
weights a; v and b stay random and fixed); :func:`split_training` is the two-stage counterpart with the same
read-out, from the same start.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from testtime.models.softmax_attention import SoftmaxAttention
from testtime.results import Result
from testtime.single_index.profile import gauss_newton
from testtime.single_index.readout import Readout, fit_readout

__all__ = ["Trained", "joint_training", "split_training"]

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Trained(Result):
    """A direction and the read-out along it.

    Attributes
    ----------
    direction
        Unit vector, shape `(dim,)`.
    readout
        ReLU read-out with leave-one-out penalty, refitted along `direction`, so that the two ways differ in
        the direction only.
    losses
        Training loss after each step, shape `(n_steps,)`; empty for the split.
    end_to_end
        Mean squared training error of the jointly trained weights themselves; NaN for the split.
    """

    direction: Array
    readout: Readout
    losses: Array
    end_to_end: float

    def predict(self, X: Array) -> Array:
        """Predict labels of rows of shape `(n_rows, dim)`."""
        return self.readout((X @ self.direction)[:, None])


def joint_training(
    X: Array,
    y: Array,
    start: Array,
    *,
    width: int = 64,
    n_steps: int = 600,
    learning_rate: float = 0.03,
    ridge: float = 1e-4,
    bias_range: float = 4.0,
    seed: int = 0,
) -> Trained:
    """Train direction and output weights together with Adam, full batch, from `start` and a zero output
    layer.

    Parameters
    ----------
    X, y
        Rows, shapes `(n_rows, dim)` and `(n_rows,)`, centred and of about unit variance. To stay in a
        subspace pass the coordinates in it.
    start
        Direction of stage I, shape `(dim,)`.
    width
        Hidden units; their biases are uniform on [-bias_range, bias_range].
    n_steps, learning_rate
        Adam steps, and their rate before a linear decay to zero.
    ridge
        Weight of the squared output weights.
    bias_range
        Half-width of the biases.
    seed
        Draws the hidden units.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs, labels = torch.as_tensor(X, dtype=torch.float64), torch.as_tensor(y, dtype=torch.float64)
    dim = X.shape[1]
    model = SoftmaxAttention(
        dim, width, gamma=torch.zeros(dim, dim, dtype=torch.float64), output_scale=0.0, generator=generator
    )
    with torch.no_grad():
        model.direction_D.copy_(torch.as_tensor(start / np.linalg.norm(start)))
        model.bias_M.uniform_(-bias_range, bias_range, generator=generator)
    trained = [model.direction_D, model.outer_M]
    optimizer = torch.optim.Adam(trained, lr=learning_rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=n_steps)
    losses = np.empty(n_steps)
    for step in range(n_steps):
        optimizer.zero_grad()
        error = (model.forward_direction(inputs) - labels).square().mean()
        loss = error + ridge * model.outer_M.square().sum()
        loss.backward(inputs=trained)
        optimizer.step()
        schedule.step()
        losses[step] = loss.item()
    with torch.no_grad():
        end_to_end = float((model.forward_direction(inputs) - labels).square().mean())
        direction = model.direction_D.numpy() / float(model.direction_D.norm())
    return Trained(direction, _along(X, y, direction, width, seed), losses, end_to_end)


def split_training(
    X: Array,
    y: Array,
    start: Array,
    *,
    degree: int = 5,
    width: int = 64,
    n_steps: int = 40,
    seed: int = 0,
) -> Trained:
    """Direction first (Gauss-Newton on the profile loss from `start` alone), then the read-out.

    Parameters are those of :func:`joint_training`; `degree` is that of the Hermite link, and with `n_steps` of 0 the
    read-out is fitted along the start itself.
    """
    direction = start / np.linalg.norm(start)
    if n_steps:
        unit = direction[None, None, None]
        found = gauss_newton(X[None], y[None], unit, degree=degree, schedule=((n_steps, 1),))
        direction = found.directions[0, 0, 0]
    return Trained(direction, _along(X, y, direction, width, seed), np.empty(0), float("nan"))


def _along(X: Array, y: Array, direction: Array, width: int, seed: int) -> Readout:
    z = (X @ direction)[:, None]
    return fit_readout(z, y, kind="relu", width=width, rng=np.random.default_rng(seed))
