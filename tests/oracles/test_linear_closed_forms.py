"""Isotropic coefficients against polynomial closed forms in rational arithmetic, also for n far above d.

The polynomials are written out in n, d, |beta|^2 = b, sigma^2 = v and w, expanded by hand from the Gaussian
moments of u; the code under test sums two eigenvalues instead.
"""

from fractions import Fraction

import pytest

from testtime.theory.linear import Setting, icl_risk, one_step

CASES = [
    (7, 4, Fraction(3, 2), Fraction(1, 5)),
    (40, 60, Fraction(1), Fraction(0)),
    (3, 500, Fraction(2), Fraction(3)),
    (1_000_000, 10, Fraction(5, 4), Fraction(1, 8)),
    (10_000_000, 100, Fraction(1), Fraction(0)),
    (100_000_000, 1000, Fraction(7), Fraction(2)),
]


def fresh_fixed(n, d, b, v, w):
    """B1, F, H of a fixed step on fresh contexts."""
    s, e = b + v, 1 - (n + 1) * w
    h = n**2 * (b**2 * ((n + 1) * (n + 3) + d) + 2 * b * v * (n + 1 + d) + d * v**2)
    one = b**2 * (n**2 + 6 * n + 7 + d) + 2 * b * v * (2 * n + 4 + d) + (d + 2) * v**2
    mixed = d * n**2 + 6 * n**2 + 10 * d * n + 36 * n + 3 * d**2 + 23 * d + 46
    two = b**3 * (n + d + 5) * (n**2 + 6 * n + 7 + d) + b**2 * v * mixed
    two += b * v**2 * (3 * d**2 + 3 * d * n + 13 * d + 6 * n + 14) + d * (d + 2) * v**3
    f = b * h - 2 * b * n**2 * (n + 2) * one * w + n**2 * (n + 2) * two * w**2
    return n**2 * ((e * b - s * w) ** 2 + (d - 1) * (s * w) ** 2), f, h


def same_fixed(n, d, b, v, w):
    """B1, F, H of a fixed step on the same context."""
    s, m3 = b + v, n * (n + 2) * (n + 4)
    h = b**2 * (n + d + 3) * (n + d + 5) + 2 * b * v * (d**2 + d * n + 5 * d + 2 * n + 6) + d * (d + 2) * v**2
    h *= n * (n + 2)
    b1 = b * n * ((n + 1) * b + d * s) - 2 * w * b * n * (n + 2) * (b * (n + d + 3) + v * (d + 2)) + w**2 * h
    one = b**2 * (n + d + 5) * (n + d + 7) + (d + 2) * (d + 4) * v**2
    one += 2 * b * v * (d**2 + d * n + 9 * d + 4 * n + 20)
    two = b**3 * (n + d + 5) * (n + d + 7) * (n + d + 9) + d * (d + 2) * (d + 4) * v**3
    cubic = d**3 + 2 * d**2 * n + 16 * d**2 + d * n**2 + 20 * d * n + 83 * d + 4 * n**2 + 48 * n + 140
    two += 3 * b**2 * v * cubic
    two += 3 * b * v**2 * (d**3 + d**2 * n + 11 * d**2 + 6 * d * n + 38 * d + 8 * n + 40)
    return b1, b * h - 2 * b * m3 * one * w + m3 * two * w**2, h


@pytest.mark.parametrize(("n", "d", "b", "v"), CASES)
@pytest.mark.parametrize("start", ["warm", "cold", "other"])
@pytest.mark.parametrize("context", ["fresh", "same"])
def test_fixed_step(n, d, b, v, start, context):
    k = 3 * d + 2
    weight = {"warm": 1 / Fraction(n + 1 + d + v), "cold": Fraction(0), "other": Fraction(1, 4 * n)}[start]
    b1, f, h = (fresh_fixed if context == "fresh" else same_fixed)(n, d, b, v, weight)
    whole = (k + d + 1) * f + d * v * h
    excess = b * (1 - n * weight) ** 2 + n * weight**2 * (b + d * (b + v))
    setting = Setting(n, k, dim=d, task=float(b), noise_var=float(v))
    answer = one_step(setting, float(weight) if start == "other" else start, context)
    assert icl_risk(setting, float(weight) if start == "other" else start) == pytest.approx(
        float(v + excess), rel=1e-13
    )
    assert answer.risk_before == pytest.approx(float(v + excess), rel=1e-13)
    assert answer.slope == pytest.approx(float(-4 * k * b1), rel=1e-9)
    assert answer.curvature == pytest.approx(float(8 * k * whole), rel=1e-9)
    assert answer.gain == pytest.approx(float(k * b1**2 / whole), rel=1e-9)
    assert answer.best_step == pytest.approx(float(b1 / (2 * whole)), rel=1e-9)
    assert answer.best_risk - float(v) == pytest.approx(float(excess - k * b1**2 / whole), rel=1e-8)


@pytest.mark.parametrize(("n", "d"), [(5, 3), (300, 40), (10_000_000, 100)])
def test_headline_laws(n, d):
    """Noise-free gains as one rational function each."""
    b, k = Fraction(3, 2), 2 * d
    share = b * k / (k + d + 1)
    cold = share * n**2 / ((n + 2) ** 2 + d - 1)
    pol = d**3 + d**2 * n**2 + 5 * d**2 * n + 3 * d**2 + d * n**3 + 2 * d * n**2 - 2 * d * n - d
    pol += n**3 + 17 * n**2 + 53 * n + 45
    warm = share * n**2 * d**2 * (d - 1) ** 2 / Fraction((n + d + 1) ** 2 * pol)
    setting = Setting(n, k, dim=d, task=float(b))
    assert one_step(setting, "cold").gain == pytest.approx(float(cold), rel=1e-12)
    assert one_step(setting).gain == pytest.approx(float(warm), rel=1e-9)
    assert one_step(setting).half_train == pytest.approx(d + 1, rel=1e-12)
    left = b * Fraction((d + 1) ** 2, (n + d + 1) * (k + d + 1))
    assert one_step(setting, "warm", "same", "normalized").best_risk == pytest.approx(float(left), rel=1e-13)


def test_one_dimension_leaves_nothing_to_gain_on_fresh_contexts():
    assert one_step(Setting(9, 50, dim=1, task=2.0)).gain == pytest.approx(0.0, abs=1e-25)


@pytest.mark.parametrize(("n", "d"), [(24, 10), (40, 5), (25, 30)])
@pytest.mark.parametrize("noise", [0.0, 0.4])
@pytest.mark.parametrize("m", [9, 30])
def test_fresh_normalized_by_three_dimensional_quadrature(n, d, noise, m):
    """u = tau beta + sqrt(tau) z integrated directly, by Gauss-Laguerre and Gauss-Hermite rules."""
    import numpy as np
    from scipy.special import roots_genlaguerre, roots_hermitenorm

    b, w, k = 1.3, 0.02, 7
    s, beta = b + noise, b**0.5
    tau, tau_w = roots_genlaguerre(90, n / 2 - 1)
    tau, tau_w = 2 * tau, tau_w / tau_w.sum()
    g, g_w = roots_hermitenorm(60) if noise else (np.zeros(1), np.ones(1))
    g_w = g_w / g_w.sum()
    h, h_w = roots_genlaguerre(90, (d - 1) / 2 - 1)
    h, h_w = 2 * h, h_w / h_w.sum()
    along = tau[:, None, None] * beta + np.sqrt(tau[:, None, None] * noise) * g[None, :, None]
    across2 = tau[:, None, None] * s * h[None, None, :] + 0 * along
    weight = tau_w[:, None, None] * g_w[None, :, None] * h_w
    q = along**2 + across2
    r2 = (beta - w * along) ** 2 + w**2 * across2
    toward, side = m * ((m + 1) * b + s), m * s  # E vv'
    n_along, n_across = m * ((1 - (m + 1) * w) * b - s * w), -m * s * w  # E r_v v'
    linear = np.sum(weight * (n_along * along * (beta - w * along) - n_across * w * across2) / q)
    reach = (toward * along**2 + side * across2) / q**2
    square, size = np.sum(weight * reach * r2), np.sum(weight * reach)
    answer = one_step(Setting(n, k, dim=d, task=b, noise_var=noise), w, "fresh", "normalized", eval_context=m)
    whole = (k + d + 1) * square + d * noise * size
    assert answer.slope == pytest.approx(-4 * k * linear, rel=2e-9)
    assert answer.curvature == pytest.approx(8 * k * whole, rel=2e-9)
