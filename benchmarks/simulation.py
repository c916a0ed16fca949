"""How fast the batched simulation of the figures is, compared with a plain matrix product of the same size.

    python -m benchmarks.simulation [--out FILE] [--repeats N]

Rate of the simulation: the operations of its matrix products (2 per multiply-add; random numbers, sums and the rest
count as nothing) over its whole wall time. Rate of the product: the same operations done by bare ``A @ B`` of the same
shapes. One thread each, so that the ratio does not depend on the number of cores. Prints a table, writes JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.timing import best_seconds
from testtime.experiments.linear.simulation import Population, simulate_one_step

# dim, context rows, training rows, tasks of a design: what the figures run, quick and full
SHAPES = ((60, 60, 240, 256), (60, 120, 240, 256), (200, 200, 400, 512), (200, 800, 800, 512))
PROMISED_SHARE = 0.5


def measure(dim: int, n_context: int, n_train: int, n_tasks: int, repeats: int) -> dict[str, float | int]:
    """Time the simulation and the bare products of one shape."""
    n_designs = max(2, int(4e9 / (4.0 * dim * n_tasks * (2 * n_context + n_train))))
    population = Population(np.full(dim, dim**-0.5), np.ones(dim))

    def simulate() -> None:
        simulate_one_step(
            population, 1.0 / (n_context + dim + 1), n_context, [n_train], n_designs=n_designs, n_tasks=n_tasks,
            seed=np.random.SeedSequence(0),
        )  # fmt: skip

    rng = np.random.default_rng(0)
    tasks = rng.standard_normal((dim, n_tasks))
    rows = [rng.standard_normal((count, dim)) for count in (n_context, n_context, n_train)]

    def multiply() -> None:
        for _ in range(n_designs):
            for X in rows:
                _ = X.T @ (X @ tasks)

    operations = n_designs * 4.0 * dim * n_tasks * (2 * n_context + n_train)
    simulated, plain = best_seconds(simulate, repeats), best_seconds(multiply, repeats)
    return {
        "dim": dim,
        "n_context": n_context,
        "n_train": n_train,
        "n_tasks": n_tasks,
        "n_designs": n_designs,
        "simulation_seconds": simulated,
        "simulation_gflops": operations / simulated / 1e9,
        "product_gflops": operations / plain / 1e9,
        "share": plain / simulated,
    }


def main() -> None:
    """Measure every shape, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("simulation.json"))
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with threadpool_limits(limits=1):
        rows = [measure(*shape, repeats=arguments.repeats) for shape in SHAPES]
    print(
        f"{'dim':>5} {'context':>8} {'train':>6} {'tasks':>6} {'simulation':>16} {'plain product':>16} {'share':>7}"
    )
    for row in rows:
        print(
            f"{row['dim']:>5} {row['n_context']:>8} {row['n_train']:>6} {row['n_tasks']:>6} "
            f"{row['simulation_gflops']:>10.1f} GF/s {row['product_gflops']:>10.1f} GF/s {row['share']:>6.0%}"
        )
    smallest = min(row["share"] for row in rows)
    print(f"smallest share {smallest:.0%}; promised {PROMISED_SHARE:.0%}")
    report = {
        "promised_share": PROMISED_SHARE,
        "smallest_share": smallest,
        "rows": rows,
        "machine": platform.processor() or platform.machine(),
        "numpy": np.__version__,
    }
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
