"""The setting all linear formulas share: counts, covariances, the test task and the noise."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from testtime.errors import InputError, sentence
from testtime.theory.checks import as_count, as_covariance, as_finite, as_variance

__all__ = ["Setting", "check_broadcast", "check_scale", "require_single"]

Array = NDArray[np.float64]

_INPUTS, _LABELS = (1e-40, 1e40), (1e-60, 1e60)  # variances with which no part of a coefficient underflows


@dataclass(frozen=True, eq=False)
class Setting:
    r"""A linear in-context regression task and how many rows there are to learn it from.

    Inputs are :math:`x\sim N(0,\Sigma)`, labels :math:`y=x^\top\beta+\xi` with :math:`\xi\sim
    N(0,\sigma^2)`. The model predicts :math:`x^\top W u` from the context summary :math:`u=X^\top y`, where
    X holds ``n_context`` rows; it was pretrained on tasks :math:`\beta\sim N(0,\Sigma_\beta)` and is
    trained at test time on ``n_train`` labelled rows.

    Reference: Gozeten et al. (2025), section 3.

    Parameters
    ----------
    n_context
        :math:`n`, rows in the context (>= 0).
    n_train
        :math:`k`, labelled rows the test-time step is taken on (>= 0).
    dim
        :math:`d`, input dimension; may be left out when a covariance or the task is a vector or a matrix.
    input_cov
        :math:`\Sigma`: a variance, the eigenvalues (``(d,)``, the covariance is their diagonal matrix) or a
        matrix (``(d, d)``); default 1. Positive definite.
    task_cov
        :math:`\Sigma_\beta` of the pretraining tasks, in the same three forms; default 1. May be singular.
    task
        The test task: :math:`\beta` itself (``(d,)``), or its squared norm :math:`|\beta|^2` (a number)
        when both covariances are scalars, where nothing else about it matters.
    test_task_cov
        Covariance of a random Gaussian test task; risks and the step are then averages over tasks. With
        neither `task` nor `test_task_cov` the test task is drawn like the pretraining tasks.
    noise_var
        :math:`\sigma^2`, in units of y squared.

    Notes
    -----
    With scalar covariances, `n_context`, `n_train`, `dim`, `noise_var` and `task` (squared norms) may be
    arrays, which broadcast; every result then has the broadcast shape. A one-dimensional `task` is a vector
    :math:`\beta` when all the others are numbers, and an array of squared norms when one of them is an
    array.

    Raises
    ------
    InputError
        For negative or fractional counts, shapes that do not match, a matrix that is not a covariance, NaN,
        a zero task.

    >>> setting = Setting(n_context=40, n_train=128, dim=60, task=1.0, noise_var=0.1)
    >>> setting.isotropic, setting.replace(n_context=80).n_context
    (True, 80)
    """

    n_context: Any
    n_train: Any
    dim: Any = None
    input_cov: Any = None
    task_cov: Any = None
    task: Any = None
    test_task_cov: Any = None
    noise_var: Any = 0.0

    def __post_init__(self) -> None:
        counts = {name: as_count(getattr(self, name), name) for name in ("n_context", "n_train")}
        noise = as_variance(self.noise_var, "noise_var")
        covs: dict[str, Array | None] = {
            name: None
            if getattr(self, name) is None
            else as_covariance(getattr(self, name), name, singular=loose)
            for name, loose in (("input_cov", False), ("task_cov", True), ("test_task_cov", True))
        }
        dims = None if self.dim is None else as_count(self.dim, "dim", minimum=1)
        task = None if self.task is None else as_finite(self.task, "task")
        shared = [a for a in (*counts.values(), noise, dims) if a is not None]
        batched = any(a.ndim > 0 for a in shared) or (task is not None and task.ndim > 1)
        vector = task is not None and task.ndim == 1 and not batched
        dims = self._dimension(dims, covs, task if vector else None)
        for name, array in counts.items():
            self._store(name, _number(array, whole=True))
        self._store("dim", _number(dims, whole=True))
        self._store("noise_var", _number(noise))
        self._store("input_cov", _number(np.array(1.0) if covs["input_cov"] is None else covs["input_cov"]))
        self._store("task_cov", _number(np.array(1.0) if covs["task_cov"] is None else covs["task_cov"]))
        self._store(
            "test_task_cov", None if covs["test_task_cov"] is None else _number(covs["test_task_cov"])
        )
        self._store("task", None if task is None else _number(task))
        self._check_task(task, vector, batched)

    def _store(self, name: str, value: Any) -> None:
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
        object.__setattr__(self, name, value)

    def _dimension(self, dims: Array | None, covs: dict[str, Array | None], task: Array | None) -> Array:
        """Return d, checking that everything which has a dimension agrees."""
        sizes = {name: len(cov) for name, cov in covs.items() if cov is not None and cov.ndim}
        if task is not None:
            sizes["task"] = len(task)
        if dims is None:
            if not sizes:
                raise InputError(
                    sentence(
                        "dim is missing",
                        expected="the input dimension",
                        why="no covariance and no task vector tells it",
                        remedy="Pass dim=20, say",
                    )
                )
            dims = np.array(float(next(iter(sizes.values()))))
        for name, size in sizes.items():
            if dims.ndim or size != int(dims):
                have = f"dim={int(dims)}" if not dims.ndim else "dim an array"
                raise InputError(
                    sentence(
                        f"{name} has {size} entries along an axis and {have}",
                        expected="one dimension",
                        why=f"the inputs, the tasks and {name} live in the same space",
                        remedy=f"Change dim or {name}; arrays of settings need scalar covariances",
                    )
                )
        return dims

    def _check_task(self, task: Array | None, vector: bool, batched: bool) -> None:
        if task is not None and self.test_task_cov is not None:
            raise InputError(
                sentence(
                    "both task and test_task_cov", expected="one of them", remedy="Leave one of them out"
                )
            )
        if batched and not self.isotropic:
            raise InputError(
                sentence(
                    "arrays of settings with a covariance that is not a number",
                    expected="scalar input_cov, task_cov and test_task_cov",
                    why="only the isotropic formulas broadcast",
                    remedy="Loop over the settings",
                )
            )
        if task is not None and not vector:
            if not self.isotropic:
                raise InputError(
                    sentence(
                        f"task={self.task!r:.60} with a covariance that is not a number",
                        expected=f"a task vector of {self.dim} entries",
                        why="the squared norm alone does not fix the risk",
                        remedy="Pass the vector, or test_task_cov",
                    )
                )
            if np.any(task < 0):
                raise InputError(
                    sentence(
                        "task has a negative squared norm", expected="numbers > 0", remedy="Pass |beta|^2"
                    )
                )
        largest = task if task is not None else np.asarray(self.test_task_covariance)
        if np.any(largest == 0) if (task is not None and not vector) else not np.any(largest):
            raise InputError(
                sentence(
                    "the test task is zero",
                    expected="a task with |beta| > 0",
                    why="there is no signal to learn",
                    remedy="Pass a task or a test_task_cov that is not zero",
                )
            )
        if self.isotropic:
            try:
                self.shape  # noqa: B018 - computing it checks that the arrays broadcast
            except ValueError:
                raise InputError(
                    sentence(
                        "n_context, n_train, dim, noise_var and task have shapes that do not broadcast",
                        expected="shapes that NumPy can broadcast",
                        remedy="Insert axes with array[:, None]",
                    )
                ) from None

    @property
    def isotropic(self) -> bool:
        """Whether all covariances are scalars, so that the O(1) formulas hold."""
        covs = (self.input_cov, self.task_cov, self.test_task_cov)
        return all(cov is None or isinstance(cov, float) for cov in covs)

    @property
    def test_task_covariance(self) -> Any:
        """Covariance of the random test task: `test_task_cov`, or `task_cov` when that is not given."""
        return self.task_cov if self.test_task_cov is None else self.test_task_cov

    @property
    def task_norm(self) -> Any:
        """Squared norm of the fixed test task, or None when the task is random."""
        if self.task is None:
            return None
        if isinstance(self.task, np.ndarray) and self.task.ndim == 1 and not self._others_batched():
            return float(self.task @ self.task)
        return self.task

    def _others_batched(self) -> bool:
        return any(np.ndim(value) for value in (self.n_context, self.n_train, self.dim, self.noise_var))

    @property
    def shape(self) -> tuple[int, ...]:
        """Broadcast shape of an array of settings, ``()`` for a single one."""
        parts = (self.n_context, self.n_train, self.dim, self.noise_var, self.task_norm)
        return np.broadcast_shapes(*(np.shape(part) for part in parts if part is not None))

    def replace(self, **changes: ArrayLike | None) -> Setting:
        """Return a copy with some arguments changed.

        >>> Setting(10, 5, dim=3).replace(n_train=7).n_train
        7
        """
        return Setting(**({field.name: getattr(self, field.name) for field in fields(self)} | changes))


def require_single(setting: Setting, why: str = "") -> None:
    """Refuse an array of settings.

    Raises
    ------
    InputError
        With the reason `why`, if given.
    """
    if setting.shape:
        raise InputError(
            sentence(
                f"a setting with arrays of shape {setting.shape}",
                expected="a single setting",
                why=why,
                remedy="Loop over the settings",
            )
        )


def check_broadcast(setting: Setting, array: Array, name: str) -> None:
    """Refuse an array of another argument that does not broadcast to the shape of the settings."""
    try:
        fits = np.broadcast_shapes(array.shape, setting.shape) == setting.shape
    except ValueError:
        fits = False
    if not fits:
        raise InputError(
            sentence(
                f"{name} has shape {array.shape} with settings of shape {setting.shape}",
                expected="one number, or one for each setting",
                remedy=f"Change the shape of {name}, or make the setting an array",
            )
        )


def check_scale(setting: Setting) -> None:
    """Refuse inputs or labels so large or so small that the coefficients of a step cannot be computed."""
    inputs = np.max(setting.input_cov)
    tasks = setting.task_norm
    if tasks is None:
        tasks = np.max(setting.test_task_covariance) * setting.dim
    labels = inputs * np.asarray(tasks, dtype=float) + setting.noise_var
    for name, values, (low, high) in (("inputs", inputs, _INPUTS), ("labels", labels, _LABELS)):
        if not (low <= np.min(values) and np.max(values) <= high):
            worst = np.min(values) if np.min(values) < low else np.max(values)
            raise InputError(
                sentence(
                    f"{name} with a variance near {worst:.3g}",
                    expected=f"a variance from {low:g} to {high:g}",
                    why="the risk after a step holds the third power of the labels' variance and the fourth of "
                    "the inputs'",
                    remedy=f"Divide the {name} by their standard deviation",
                )
            )


def _number(array: Array, whole: bool = False) -> Any:
    """Return a Python number for a 0-d array and the array itself otherwise."""
    if array.ndim:
        return array
    return int(array) if whole else float(array)
