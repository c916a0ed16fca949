"""How short the context may be once a step is taken, against plain in-context learning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtime.errors import InputError, sentence
from testtime.theory.checks import as_count, as_number, check_word
from testtime.theory.linear.answers import answers
from testtime.theory.linear.pretraining import icl_risk_curve
from testtime.theory.linear.results import ContextReduction
from testtime.theory.linear.setting import Setting, require_single
from testtime.theory.linear.step import one_step

__all__ = ["context_reduction", "smallest_context"]

Array = NDArray[np.float64]

_FIRST_BLOCK, _LARGEST_BLOCK = 256, 65536
_FAR = 1e12  # rows that stand for an endless context
_ROUNDING = 1e-13  # a target that is itself a risk of this library counts as reached


@answers
def smallest_context(
    setting: Setting,
    target_risk: float,
    start: str = "best",
    context: str = "fresh",
    step: str = "fixed",
    *,
    largest: int = 10_000_000,
) -> float:
    r"""Smallest number of context rows that reaches a risk after the best step on ``setting.n_train`` rows.

    The pretrained weights are those of each context length (W* is retrained for every n). Every length is
    tried in turn: the risk after a warm step on fresh contexts is not monotone in n (for :math:`k>d/2` it
    has a peak near :math:`n/d=\sqrt{3\gamma/(1+\gamma)}-1`), so bisection would return wrong answers.
    ``setting.n_context`` is not used.

    Reference: Gozeten et al. (2025), section 4, sample complexity.

    Parameters
    ----------
    setting
        A single setting; isotropic ones are scanned in blocks, others one length at a time.
    target_risk
        Risk to reach, the irreducible noise included.
    start
        "best" (the better of warm and cold), "warm" or "cold".
    context, step
        As in :func:`one_step`. With ``step="normalized"`` on fresh contexts the scan begins where the risk
        is finite.
    largest
        Longest context that is tried.

    Returns
    -------
    int or float
        The length, or ``inf`` when no context is long enough: the target is not above the noise variance,
        or it is below what an endless context gives (and no length up to `largest` reaches it).

    Raises
    ------
    InputError
        When the target is reachable but not with `largest` rows.

    >>> setting = Setting(n_context=0, n_train=500, dim=1000, task=1.0)
    >>> smallest_context(setting, 0.5), smallest_context(setting, 0.5, context="same")
    (797, 341)
    """
    check_word(start, "start", ("best", "warm", "cold"))
    check_word(context, "context", ("fresh", "same"))
    check_word(step, "step", ("fixed", "normalized"))
    require_single(setting)
    target = as_number(target_risk, "target_risk")
    largest = int(as_number(as_count(largest, "largest"), "largest"))
    if target <= setting.noise_var:
        return float("inf")
    target *= 1 + _ROUNDING
    risk = _risk_of_length(setting, start, context, step)
    if start == "warm" and setting.n_train == 0 and setting.isotropic:
        length = _plain_length(setting, target, risk)
        if largest < length < np.inf:
            raise _too_far(target_risk, largest)
        return length
    first = _first_length(setting, context, step)
    reachable = bool(risk(np.array([_FAR]))[0] <= target)
    if start == "cold" and not reachable:
        return float("inf")  # the cold risk falls with every row
    fast = setting.isotropic or (start == "warm" and setting.n_train == 0)
    most = _LARGEST_BLOCK if setting.isotropic else max(_LARGEST_BLOCK // setting.dim, 1)
    block = min(_FIRST_BLOCK, most) if fast else 1
    while first <= largest:
        lengths = np.arange(first, min(first + block, largest + 1), dtype=float)
        reached = risk(lengths) <= target
        if np.any(reached):
            return int(lengths[np.argmax(reached)])
        first += block
        block = min(2 * block, most) if fast else 1
    if not reachable:
        return float("inf")
    raise _too_far(target_risk, largest)


def _too_far(target_risk: float, largest: int) -> InputError:
    return InputError(
        sentence(
            f"target_risk={target_risk:g} is not reached with {largest:,} context rows",
            expected="a target that is",
            why="it is only reached by a longer context",
            remedy="Raise largest or the target",
        )
    )


def _plain_length(setting: Setting, target_risk: float, risk: Callable[[Array], Array]) -> float:
    """Solve the isotropic case without a step: risk <= target is a quadratic inequality in n."""
    power, noise, prior = setting.input_cov, setting.noise_var, setting.input_cov * setting.task_cov
    norm = setting.task_norm if setting.task is not None else setting.dim * setting.test_task_covariance
    # in units of the label variances, so that no product of them overflows; a power of two changes no digit
    unit = np.ldexp(1.0, np.frexp(max(setting.dim * prior + noise, power * norm))[1])
    prior, noise, target, signal = prior / unit, noise / unit, target_risk / unit, power * norm / unit
    label = setting.dim * prior + noise
    base = prior + label  # W* = prior / (n prior + base) in units of the input variance
    square = (target - noise) * prior**2
    middle = 2.0 * (target - noise) * prior * base - prior**2 * (signal + setting.dim * (signal + noise))
    constant = (target - noise - signal) * base**2
    if constant >= 0:
        return 0
    if square == 0:  # pretraining tasks without variance leave nothing to read
        return float("inf")
    root = np.sqrt(middle**2 - 4.0 * square * constant)
    length = (root - middle) / (2.0 * square) if middle < 0 else -2.0 * constant / (root + middle)
    if not length < 2**53:  # beyond, floats skip whole numbers
        return float(length)
    near = np.maximum(np.ceil(length) + np.arange(-1.0, 3.0), 0.0)  # rounding of the root
    return int(near[np.argmax(risk(near) <= target_risk)])


def _first_length(setting: Setting, context: str, step: str) -> int:
    """Return the shortest context whose risk is finite."""
    if step != "normalized" or context != "fresh":
        return 0
    return 3 if setting.noise_var > 0 else max(3, 6 - setting.dim)


def _risk_of_length(setting: Setting, start: str, context: str, step: str) -> Callable[[Array], Array]:
    """Return the best risk as a function of an array of context lengths."""
    starts = ("warm", "cold") if start == "best" else (start,)

    def block(lengths: Array) -> Array:
        changed = setting.replace(n_context=lengths)
        return np.minimum.reduce([one_step(changed, one, context, step).best_risk for one in starts])

    def single(lengths: Array) -> Array:
        return np.array(
            [
                min(one_step(setting.replace(n_context=n), one, context, step).best_risk for one in starts)
                for n in lengths
            ]
        )

    if start == "warm" and setting.n_train == 0 and not setting.isotropic:
        return lambda lengths: icl_risk_curve(setting, lengths)
    if not setting.isotropic:
        return single
    if setting.task is not None:  # a vector task would be read as an array of squared norms
        setting = setting.replace(task=setting.task_norm)
    return block


@answers
def context_reduction(
    setting: Setting, target_risk: float, context: str = "fresh", step: str = "fixed", **options: Any
) -> ContextReduction:
    """Context rows for a target risk with and without a step, and their ratio.

    Without a step the weights are the pretraining optimum. Parameters as in :func:`smallest_context`.

    Reference: Gozeten et al. (2025), section 4, sample complexity.

    >>> answer = context_reduction(Setting(n_context=0, n_train=250, dim=1000, task=1.0), 0.7)
    >>> answer.without, answer.with_step, round(answer.factor, 2)
    (429, 253, 1.7)
    """
    plain = smallest_context(setting.replace(n_train=0), target_risk, "warm", **options)
    tuned = smallest_context(setting, target_risk, "best", context, step, **options)
    if plain == tuned:
        return ContextReduction(plain, tuned, 1.0)
    factor = float("inf") if tuned == 0 else plain / tuned
    return ContextReduction(plain, tuned, factor)
