r"""Single- and multi-index regression tasks whose directions share a hidden subspace.

Inputs are :math:`x \sim N(0, I_d)`. A family holds an r-dimensional subspace of :math:`R^d` that all its
tasks share; a task draws its direction :math:`\beta` uniformly on the unit sphere of that subspace, draws a
link :math:`s`, and its labels are

.. math:: y = s(\langle\beta, x\rangle) + \zeta, \qquad \zeta \sim \mathrm{Unif}\{-\tau, +\tau\}.

Setting of Kuwataka and Suzuki (2026); noise and normalisation follow Nishikawa et al. (2025). Everything
that is drawn comes from a seed that the caller passes: an integer, a ``numpy.random.SeedSequence`` or a
``numpy.random.Generator``.

>>> family = SingleIndexFamily.create(dim=8, rank=4, seed=0)
>>> task = family.draw(seed=1)
>>> X, y = task.sample(100, seed=2)
>>> X.shape, y.shape, bool(np.allclose(abs(y - task.mean(X)), family.noise))
((100, 8), (100,), True)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import cos, pi, sin, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from testtime.errors import InputError, sentence
from testtime.tasks.links import Link, LinkFamily, Seed, hermite_values

__all__ = ["SingleIndexFamily", "SingleIndexTask", "check_orthonormal"]

Array = NDArray[np.float64]

_ORTHONORMAL_TOLERANCE = 1e-8


def check_orthonormal(subspace: Array, tolerance: float) -> None:
    """Check that the columns of a matrix, ``(dim, rank)``, are orthonormal.

    Raises
    ------
    InputError
        If an entry of the Gram matrix is off by more than `tolerance`, or is not a number.
    """
    gap = float(np.abs(subspace.T @ subspace - np.eye(subspace.shape[1])).max())
    if not gap <= tolerance:
        raise InputError(
            sentence(
                f"the columns of subspace miss orthonormality by {gap:.2g}",
                expected=f"at most {tolerance:g}",
                remedy="Pass numpy.linalg.qr(subspace)[0].",
            )
        )


@dataclass(frozen=True, eq=False)
class SingleIndexTask:
    r"""One regression function :math:`f(x)` of one or a few projections of x, with two-point noise.

    Attributes
    ----------
    directions
        Orthonormal directions, shape ``(n_directions, dim)``.
    links
        One callable per direction, vectorised over arrays.
    noise
        Size :math:`\tau` of the noise, in units of y; each label is off by plus or minus this, with equal
        chance.
    combine
        ``"sum"``: :math:`f = J^{-1/2}\sum_j s_j(\langle\beta_j, x\rangle)`; ``"product"``:
        :math:`f = \prod_j s_j(\langle\beta_j, x\rangle)`. With one direction both are the single-index model.
    """

    directions: Array
    links: tuple[Link, ...]
    noise: float = 0.1
    combine: str = "sum"

    @property
    def direction(self) -> Array:
        """The first direction, shape ``(dim,)``; the only one of a single-index task."""
        return self.directions[0]

    @property
    def dim(self) -> int:
        """Dimension of the inputs."""
        return self.directions.shape[1]

    def mean(self, X: ArrayLike) -> Array:
        """Noise-free labels of the rows of `X`, shape ``(n,)``."""
        z = np.asarray(X, dtype=float) @ self.directions.T
        values = np.stack([link(z[:, j]) for j, link in enumerate(self.links)])
        if self.combine == "product":
            return values.prod(axis=0)
        return values.sum(axis=0) / sqrt(len(self.links))

    def sample(self, n_rows: int, seed: Seed) -> tuple[Array, Array]:
        """Draw `n_rows` labelled rows: ``X`` of shape ``(n_rows, dim)`` and ``y`` of shape ``(n_rows,)``."""
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((n_rows, self.dim))
        return X, self.mean(X) + _signs(rng, (n_rows,)) * self.noise

    def overlap(self, estimate: ArrayLike) -> float:
        r"""How much of the true directions an estimate holds, in [0, 1].

        For one direction :math:`|\langle\beta, u\rangle|/|u|`. For several, with `estimate` of shape
        ``(n_directions, dim)``, the root mean squared cosine :math:`\sqrt{\|B\,Q\|_F^2/J}`, Q an
        orthonormal basis of the row space of the estimate. A zero or non-finite estimate has overlap 0.
        """
        rows = np.atleast_2d(np.asarray(estimate, dtype=float))
        if not np.isfinite(rows).all() or not rows.any():
            return 0.0
        _, singular, basis = np.linalg.svd(rows, full_matrices=False)
        basis = basis[singular > 1e-12 * singular[0]]
        return float(min(1.0, np.linalg.norm(self.directions @ basis.T) / sqrt(len(self.directions))))


@dataclass(frozen=True, eq=False)
class SingleIndexFamily:
    """Tasks that share a hidden subspace, a way to draw links, and a noise level.

    Attributes
    ----------
    subspace
        Orthonormal basis of the hidden subspace, shape ``(dim, rank)``.
    link
        A :class:`LinkFamily` (a fresh link per task) or one vectorised callable used by all tasks.
    noise
        Size of the two-point noise, in units of y.
    n_directions
        Orthonormal directions per task; 1 is the single-index model.
    combine
        ``"sum"`` or ``"product"``, see :class:`SingleIndexTask`.
    """

    subspace: Array
    link: LinkFamily | Link = field(default_factory=LinkFamily)
    noise: float = 0.1
    n_directions: int = 1
    combine: str = "sum"

    def __post_init__(self) -> None:
        basis = np.array(self.subspace, dtype=float)
        if basis.ndim != 2 or not 1 <= basis.shape[1] <= basis.shape[0]:
            raise InputError(
                sentence(
                    f"subspace of shape {basis.shape}",
                    expected="(dim, rank) with 1 <= rank <= dim",
                    why="its columns span a subspace of the input space",
                )
            )
        check_orthonormal(basis, _ORTHONORMAL_TOLERANCE)
        if not (np.isfinite(self.noise) and self.noise >= 0):
            raise InputError(sentence(f"noise={self.noise}", expected="a finite size of 0 or more"))
        if not 1 <= self.n_directions <= basis.shape[1]:
            raise InputError(
                sentence(
                    f"n_directions={self.n_directions}",
                    expected=f"between 1 and rank={basis.shape[1]}",
                    why="the directions of a task are orthonormal inside the subspace",
                )
            )
        if self.combine not in ("sum", "product"):
            raise InputError(sentence(f"combine={self.combine!r}", expected="'sum' or 'product'"))
        if not (isinstance(self.link, LinkFamily) or callable(self.link)):
            raise InputError(
                sentence(f"link={self.link!r}", expected="a LinkFamily or a callable of one array")
            )
        basis.setflags(write=False)
        object.__setattr__(self, "subspace", basis)

    @classmethod
    def create(
        cls,
        dim: int,
        rank: int,
        *,
        seed: Seed,
        link: LinkFamily | Link | None = None,
        noise: float = 0.1,
        n_directions: int = 1,
        combine: str = "sum",
    ) -> SingleIndexFamily:
        """Draw the hidden subspace uniformly (Haar); no `link` means ``LinkFamily()``."""
        if not 1 <= rank <= dim:
            raise InputError(
                sentence(
                    f"rank={rank} with dim={dim}",
                    expected="1 <= rank <= dim",
                    why="the hidden subspace lies in the input space",
                )
            )
        gaussian = np.random.default_rng(seed).standard_normal((dim, rank))
        basis, triangle = np.linalg.qr(gaussian)
        basis = basis * np.sign(np.diag(triangle))  # makes QR unique, hence the draw uniform
        return cls(basis, LinkFamily() if link is None else link, noise, n_directions, combine)

    @property
    def dim(self) -> int:
        """Dimension of the inputs."""
        return self.subspace.shape[0]

    @property
    def rank(self) -> int:
        """Dimension of the hidden subspace."""
        return self.subspace.shape[1]

    def draw(self, seed: Seed, *, angle: float = 0.0) -> SingleIndexTask:
        r"""Draw one task.

        Parameters
        ----------
        seed
            Seed of the task; the same seed gives the same direction inside the subspace and the same link at
            every `angle`, so that tasks at two angles can be compared in pairs.
        angle
            Angle in radians, in [0, pi/2], between each direction and the hidden subspace: the direction is
            :math:`\cos(\mathrm{angle})\,\beta + \sin(\mathrm{angle})\,e` with e uniform on the unit sphere of
            the orthogonal complement.

        Raises
        ------
        InputError
            If the angle is outside [0, pi/2], or fewer dimensions than directions are outside the subspace.
        """
        if not 0.0 <= angle <= pi / 2:
            raise InputError(
                sentence(
                    f"angle={angle}",
                    expected="radians between 0 and pi/2",
                    remedy="Use math.radians for degrees.",
                )
            )
        inside_rng, link_rng, outside_rng = (np.random.default_rng(s) for s in _children(seed, 3))
        directions = _frames(inside_rng, 1, self.rank, self.n_directions)[0] @ self.subspace.T
        if angle > 0:
            room = self.dim - self.rank
            if room < self.n_directions:
                raise InputError(
                    sentence(
                        f"angle={angle:.3g} with dim={self.dim}, rank={self.rank}",
                        expected=f"dim - rank of at least {self.n_directions}",
                        why="the direction has to leave the subspace",
                        remedy="Raise dim or lower rank.",
                    )
                )
            complement = np.linalg.qr(self.subspace, mode="complete")[0][:, self.rank :]
            outside = _frames(outside_rng, 1, room, self.n_directions)[0] @ complement.T
            directions = cos(angle) * directions + sin(angle) * outside
        links = tuple(
            self.link.draw(link_rng) if isinstance(self.link, LinkFamily) else self.link
            for _ in range(self.n_directions)
        )
        return SingleIndexTask(directions, links, self.noise, self.combine)

    def prompts(self, n_tasks: int, n_rows: int, seed: Seed) -> tuple[Array, Array]:
        """Draw `n_rows` labelled rows of each of `n_tasks` fresh tasks at once, for pretraining.

        Returns ``X`` of shape ``(n_tasks, n_rows, dim)`` and ``y`` of shape ``(n_tasks, n_rows)``. Memory is
        ``8 * n_tasks * n_rows * dim`` bytes; draw in chunks, one spawned seed each, when that is too much.
        """
        rng = np.random.default_rng(seed)
        frames = _frames(rng, n_tasks, self.rank, self.n_directions) @ self.subspace.T
        X = rng.standard_normal((n_tasks, n_rows, self.dim))
        z = np.einsum("tnd,tjd->jtn", X, frames)
        values = np.stack([self._link_values(z_j, rng) for z_j in z])
        mean = (
            values.prod(axis=0) if self.combine == "product" else values.sum(axis=0) / sqrt(self.n_directions)
        )
        return X, mean + _signs(rng, mean.shape) * self.noise

    def _link_values(self, z: Array, rng: np.random.Generator) -> Array:
        """Values of one fresh link per row of `z` (shape ``(n_tasks, n_rows)``)."""
        if not isinstance(self.link, LinkFamily):
            return np.asarray(self.link(z), dtype=float)
        return hermite_values(z, self.link.draw_coefficients(len(z), rng))


def _signs(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Independent signs, +1 or -1 with equal chance."""
    return np.where(rng.integers(0, 2, shape) == 1, 1.0, -1.0)


def _children(seed: Seed, n: int) -> list[Seed]:
    """Independent seeds that depend on `seed` alone; a Generator is advanced."""
    if isinstance(seed, np.random.Generator):
        return list(seed.spawn(n))
    if isinstance(seed, np.random.SeedSequence):  # a copy: spawning would change the caller's counter
        seed = np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key)
    else:
        seed = np.random.SeedSequence(seed)
    return list(seed.spawn(n))


def _frames(rng: np.random.Generator, n_frames: int, dim: int, n_directions: int) -> Array:
    """Uniform orthonormal frames, shape ``(n_frames, n_directions, dim)``."""
    gaussian = rng.standard_normal((n_frames, dim, n_directions))
    if n_directions == 1:  # the common case, without a QR per task
        return np.swapaxes(gaussian / np.linalg.norm(gaussian, axis=1, keepdims=True), 1, 2)
    frames, triangles = np.linalg.qr(gaussian)
    signs = np.sign(np.diagonal(triangles, axis1=1, axis2=2))
    return np.swapaxes(frames * signs[:, None, :], 1, 2)
