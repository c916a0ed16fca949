"""How fast the exact theory is, alone and against Monte Carlo of the same accuracy.

    python -m benchmarks.theory [--out FILE] [--repeats N]

Four numbers, one thread each:

- one million isotropic settings in one call of ``one_step`` (arrays of n, k, d, noise and squared norm);
- one setting with full 1,000 x 1,000 covariances, for each evaluation context and step rule;
- the import of ``testtime.theory.linear`` in a new process, and one call for one setting;
- Monte Carlo that knows the risk after the best step to 1%: designs are drawn, the step is carried out literally, the
  parabola of risks is averaged, and the number of designs that brings its minimum to a relative standard error of 1% is
  extrapolated from a pilot. Its time over that of the exact answer, per call and per setting of an array.

Prints a table, writes JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.timing import best_seconds
from testtime.theory.linear import Setting, one_step

PROMISED = {"million settings": 2.0, "d = 1,000": 5.0, "ratio": 1e4}
ACCURACY = 0.01


def million_settings(context: str, repeats: int) -> float:
    """Time one call with 10^6 different settings, none of whose arguments is shared."""
    generator = np.random.default_rng(0)
    size = 1_000_000
    setting = Setting(
        generator.integers(1, 2000, size),
        generator.integers(1, 2000, size),
        dim=generator.integers(2, 1000, size),
        task=generator.uniform(0.5, 2.0, size),
        noise_var=generator.uniform(0.0, 1.0, size),
    )
    return best_seconds(lambda: one_step(setting, context=context), repeats)


def full_covariance(dim: int, context: str, step: str, repeats: int) -> float:
    """Time one setting with full covariances of inputs and tasks, including its checks."""
    generator = np.random.default_rng(1)
    factors = generator.standard_normal((2, dim, dim)) / np.sqrt(dim)
    covs = [factor @ factor.T + 0.1 * np.eye(dim) for factor in factors]
    task = generator.standard_normal(dim) / np.sqrt(dim)

    def call() -> object:
        setting = Setting(dim // 2, dim, input_cov=covs[0], task_cov=covs[1], task=task, noise_var=0.1)
        return one_step(setting, context=context, step=step)

    return best_seconds(call, repeats)


def import_seconds(repeats: int) -> float:
    """Time the import in new processes, start of the interpreter subtracted."""
    bare, full = ([sys.executable, "-c", code] for code in ("pass", "import testtime.theory.linear"))
    return best_seconds(lambda: subprocess.run(full, check=True), repeats) - best_seconds(
        lambda: subprocess.run(bare, check=True), repeats
    )


def monte_carlo(n: int, k: int, dim: int, weight: float, designs: int) -> np.ndarray:
    """Parabola coefficients (risk before, slope, bend) of `designs` literal steps on fresh contexts, without noise."""
    generator = np.random.default_rng(2)
    beta = np.zeros(dim)
    beta[0] = 1.0
    rows = []
    for _ in range(designs):
        context, fresh, train = (generator.standard_normal((count, dim)) for count in (n, n, k))
        u, v = context.T @ (context @ beta), fresh.T @ (fresh @ beta)
        gradient = train.T @ (train @ (beta - weight * u))
        left, push = beta - weight * v, 2.0 * (u @ v) * gradient
        rows.append((left @ left, -2.0 * (left @ push), push @ push))
    return np.array(rows)


def against_monte_carlo(n: int, k: int, dim: int, pilot: int, repeats: int) -> dict[str, float]:
    """Compare the time of an exact answer with that of Monte Carlo of 1% accuracy."""
    setting = Setting(n, k, dim=dim, task=1.0)
    weight = 1.0 / (n + dim + 1)
    exact = one_step(setting)
    single = best_seconds(lambda: one_step(setting), 20 * repeats)
    start = time.perf_counter()
    rows = monte_carlo(n, k, dim, weight, pilot)
    each = (time.perf_counter() - start) / pilot
    before, slope, bend = rows.mean(axis=0)
    found, ratio = before - slope**2 / (4 * bend), slope / (2 * bend)
    # first-order change of the minimum with each coefficient
    deviations = rows @ np.array([1.0, -ratio, ratio**2])
    needed = (deviations.std() / (ACCURACY * found)) ** 2
    return {
        "n": n,
        "k": k,
        "dim": dim,
        "exact": exact.best_risk,
        "monte carlo": float(found),
        "standard error of the pilot": float(deviations.std() / np.sqrt(pilot)),
        "designs for 1%": float(needed),
        "seconds of monte carlo": float(needed * each),
        "seconds of one call": single,
        "ratio": float(needed * each / single),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="write the numbers to this JSON file")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with threadpool_limits(1):
        result = measure(arguments.repeats)
    for name, value in result["seconds"].items():
        print(f"{name:<42}{value:>12.4f} s")
    print()
    for row in result["monte carlo"]:
        print(
            f"n={row['n']} k={row['k']} d={row['dim']}: Monte Carlo {row['seconds of monte carlo']:.3g} s for 1%, "
            f"one call {row['seconds of one call']:.3g} s, ratio {row['ratio']:.3g}; "
            f"per setting of an array ratio {row['ratio in arrays']:.3g}"
        )
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def measure(repeats: int) -> dict:
    """Return all numbers."""
    seconds = {f"10^6 settings, {c} context": million_settings(c, repeats) for c in ("fresh", "same")}
    for context in ("fresh", "same"):
        for step in ("fixed", "normalized"):
            seconds[f"d = 1,000 full, {context} {step}"] = full_covariance(1000, context, step, repeats)
    seconds["import of testtime.theory.linear"] = import_seconds(repeats)
    rows = []
    for n, k, dim, pilot in ((100, 100, 100, 400), (400, 400, 400, 100), (1000, 1000, 1000, 40)):
        row = against_monte_carlo(n, k, dim, pilot, repeats)
        row["ratio in arrays"] = row["seconds of monte carlo"] / (
            seconds["10^6 settings, fresh context"] / 1e6
        )
        rows.append(row)
    return {
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "promised": PROMISED,
        "seconds": seconds,
        "monte carlo": rows,
    }


if __name__ == "__main__":
    main()
