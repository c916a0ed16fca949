"""The risk after a step by its literal definition, averaged with tensor Gauss-Hermite rules in tiny
dimensions.

Every average is over the raw Gaussian variables (inputs and label noise of each row), so nothing but the
model, the gradient step and the population risk is assumed. The rules are exact for the polynomials met
here.
"""

from __future__ import annotations

from itertools import product

import numpy as np


def gauss(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of a standard normal variable."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    return x, w / w.sum()


def tensor(counts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Points (m, len(counts)) and weights (m,) of independent standard normal variables."""
    rules = [gauss(count) for count in counts]
    points = np.array(list(product(*(rule[0] for rule in rules)))).reshape(-1, len(counts))
    weights = np.ones(1)
    for rule in rules:
        weights = np.outer(weights, rule[1]).ravel()
    return points, weights


def rows(count: int, cov: np.ndarray, beta: np.ndarray, noise: float, x_nodes: int, z_nodes: int):
    """Inputs (m, count, d), labels (m, count) and weights (m,) of `count` labelled rows."""
    d = len(beta)
    points, weights = tensor([x_nodes] * (count * d) + [z_nodes if noise else 1] * count)
    x = points[:, : count * d].reshape(-1, count, d) @ np.linalg.cholesky(cov).T
    return x, x @ beta + np.sqrt(noise) * points[:, count * d :], weights


def summaries(count, cov, beta, noise, x_nodes, z_nodes):
    """u = X'y (m, d) and weights."""
    x, y, weights = rows(count, cov, beta, noise, x_nodes, z_nodes)
    return np.einsum("mid,mi->md", x, y), weights


def literal_risk(
    steps, weight, cov, beta, noise, n, k, *, context="fresh", rule="fixed", eval_rows=None,
    left=None, right=None, u_given=None,
):  # fmt: skip
    """Population risk after a step of each size in `steps`; all matrices full."""
    d = len(beta)
    left, right = (np.eye(d) if m is None else m for m in (left, right))
    same = context == "same"
    if u_given is None:
        u, u_weights = summaries(n, cov, beta, noise, 7 if same else 5, 4 if same else 3)
    else:
        u, u_weights = u_given[None], np.ones(1)
    x, y, t_weights = rows(k, cov, beta, noise, 3, 2)
    v, v_weights = summaries(n if eval_rows is None else eval_rows, cov, beta, noise, 3, 2)
    v_mean, v_square = v_weights @ v, np.einsum("m,mi,mj->ij", v_weights, v, v)
    size = np.einsum("md,de,me->m", u, right, u)
    total = np.zeros(len(steps))
    for at in range(len(x)):
        error = y[at] - np.einsum("id,de,me->mi", x[at], weight, u)
        gradient = error @ x[at] @ left.T  # P X'e, (m, d)
        for i, step in enumerate(steps):
            if same:  # 2 eta (u'Qu) P G, in which a normalised step leaves 2 eta P G
                moved = u @ weight.T + 2 * step * gradient * (1.0 if rule == "normalized" else size[:, None])
                risk = np.einsum("md,de,me->m", moved - beta, cov, moved - beta)
            else:
                scale = 2 * step / (size if rule == "normalized" else np.ones_like(size))
                tuned = weight + scale[:, None, None] * gradient[:, :, None] * (u @ right)[:, None, :]
                read = np.einsum("mde,e->md", tuned, v_mean)
                squared = np.einsum("mde,ef,mgf->mdg", tuned, v_square, tuned)
                risk = beta @ cov @ beta - 2 * read @ cov @ beta + np.einsum("mdg,gd->m", squared, cov)
            total[i] += t_weights[at] * (u_weights @ risk)
    return noise + total
