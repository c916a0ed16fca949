"""Accuracy and speed of the single-index regressor, with the numbers it is meant to reach.

    python -m benchmarks.single_index --out single_index.json          # everything
    python -m benchmarks.single_index --only accuracy speed            # some parts

Tasks: Gaussian inputs, links h3 + c h4 with c uniform on [-1/2, 1/2], noise of two points +-0.1, a fresh
direction and link per task. Errors are to the noise-free function, squared errors winsorised at 9, medians
over tasks. Defaults were chosen on other seeds and on other links (h2, h4, relu, abs, tanh, sin, sign) than
those reported here.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from testtime import SingleIndexRegressor
from testtime.models.softmax_attention import softmax_attention
from testtime.single_index.joint import joint_training, split_training
from testtime.single_index.many import fit_many
from testtime.single_index.pretrain import pretrain_family, subspace_overlap
from testtime.single_index.weak_recovery import weak_recovery
from testtime.tasks.single_index import SingleIndexFamily

NOISE = 0.1
ROOT = 20260
N_TEST = 4000

Row = dict[str, object]


def seeded(*key: int) -> np.random.Generator:
    """Generator of the root seed and a key."""
    return np.random.default_rng([ROOT, *key])


def make_tasks(family: SingleIndexFamily, n_tasks: int, n_rows: int) -> tuple[list, np.ndarray, np.ndarray]:
    """Fresh tasks with their rows, shapes `(n_tasks, n_rows, dim)` and `(n_tasks, n_rows)`."""
    tasks = [family.draw(np.random.SeedSequence([ROOT, n_rows, t])) for t in range(n_tasks)]
    X = seeded(n_rows, family.dim, 1).standard_normal((n_tasks, n_rows, family.dim))
    signs = seeded(n_rows, family.dim, 2).choice([-1.0, 1.0], (n_tasks, n_rows))
    Y = np.stack([task.mean(x) for task, x in zip(tasks, X, strict=True)]) + NOISE * signs
    return tasks, X, Y


def measure(tasks: list, models: list) -> dict[str, float]:
    """Medians (and the mean) of the errors on fresh rows, and the share of recovered directions."""
    errors, overlaps = [], []
    for t, (task, model) in enumerate(zip(tasks, models, strict=True)):
        X = seeded(t, 3).standard_normal((N_TEST, task.dim))
        truth, predicted = task.mean(X), model.predict(X)
        errors.append(np.minimum((predicted - truth) ** 2, 9).mean())
        overlaps.append(task.overlap(model.directions_))
    return {
        "mse": float(np.median(errors)),
        "mse_mean": float(np.mean(errors)),
        "success": float(np.mean(np.array(overlaps) > 0.95)),
    }


def accuracy(n_tasks: int) -> list[Row]:
    """Error against rows and dimension, with the pretrained subspace and without."""
    rows: list[Row] = []
    settings = [(4, 4), (8, 4), (16, 4), (16, 8), (16, 16)]
    sizes = {4: (32, 64, 128, 1024, 4096), 8: (64, 128, 1024), 16: (128, 256)}
    for dim, rank in settings:
        family = SingleIndexFamily.create(dim, rank, seed=ROOT + dim + rank, noise=NOISE)
        one_step = pretrain_family(family, seed=ROOT)
        refined = pretrain_family(family, seed=ROOT, n_refine=256)
        for n_rows in sizes[rank]:
            tasks, X, Y = make_tasks(family, n_tasks, n_rows)
            variants = {
                "one step": {"subspace": one_step.subspace},
                "one step, relu read-out": {"subspace": one_step.subspace, "readout": "relu"},
                "one step, sgd": {"subspace": one_step.subspace, "strong": "sgd", "readout": "relu"},
                "refined subspace": {"subspace": refined.subspace},
            }
            if dim == rank:
                variants = {
                    name: {**v, "subspace": None} for name, v in variants.items() if "refined" not in name
                }
            for name, params in variants.items():
                if ("sgd" in name and n_rows > 128) or (n_rows == 4096 and (dim == 16 or name != "one step")):
                    continue
                found = measure(tasks, fit_many(X, Y, random_state=0, **params))
                rows.append({"dim": dim, "rank": rank, "rows": n_rows, "variant": name, **found})
                show(rows[-1])
    family = SingleIndexFamily.create(8, 4, seed=ROOT + 12, noise=NOISE)
    for n_rows in (32, 64, 128, 512):
        tasks, X, Y = make_tasks(family, n_tasks, n_rows)
        found = measure(tasks, fit_many(X, Y, random_state=0))
        rows.append({"dim": 8, "rank": 4, "rows": n_rows, "variant": "no subspace", **found})
        show(rows[-1])
    for n_rows in (128, 1024):
        tasks, X, Y = make_tasks(family, n_tasks, n_rows)
        found = measure(tasks, fit_many(X, Y, random_state=0, recipe="paper"))
        rows.append({"dim": 8, "rank": 4, "rows": n_rows, "variant": "paper's recipe, no subspace", **found})
        show(rows[-1])
    return rows


def stage_one(n_tasks: int) -> list[Row]:
    """Overlap after one step: distillation against labels, and the attention student."""
    rows: list[Row] = []
    for rank, n_rows in ((4, 128), (8, 512), (16, 2048), (32, 2048)):
        family = SingleIndexFamily.create(rank, rank, seed=ROOT + rank, noise=NOISE)
        tasks, X, Y = make_tasks(family, n_tasks, n_rows)
        row: Row = {"rank": rank, "rows": n_rows}
        for kind in ("random", "labels", "distill", "distill-multi", "attention", "attention-labels"):
            overlaps = [
                task.overlap(weak_recovery(x, y, 0.35 * np.eye(rank), kind=kind, rng=seeded(t, 4)).direction)
                for t, (task, x, y) in enumerate(zip(tasks, X, Y, strict=True))
            ]
            row[kind] = float(np.mean(overlaps))
        rows.append(row)
        show(row)
    return rows


def without_stage_one(n_tasks: int) -> list[Row]:
    """Success of the whole algorithm with and without stage I, at equal numbers of random restarts."""
    rows: list[Row] = []
    for rank, n_rows in ((4, 32), (8, 64), (16, 128), (32, 256)):
        family = SingleIndexFamily.create(rank, rank, seed=ROOT + rank, noise=NOISE)
        tasks, X, Y = make_tasks(family, n_tasks, n_rows)
        for restarts in (0, 4, 16):
            for weak in ("distill-multi", "random"):
                found = measure(tasks, fit_many(X, Y, random_state=0, weak=weak, n_restarts=restarts))
                rows.append({"rank": rank, "rows": n_rows, "weak": weak, "restarts": restarts, **found})
                show(rows[-1])
    return rows


def joint(n_tasks: int) -> list[Row]:
    """Direction and read-out together against one after the other, from the same start of stage I."""
    rows: list[Row] = []
    for rank, n_rows in ((4, 128), (8, 256)):
        family = SingleIndexFamily.create(rank, rank, seed=ROOT + rank, noise=NOISE)
        tasks, X, Y = make_tasks(family, n_tasks, n_rows)
        ways: dict[str, Callable] = {"joint": joint_training, "split": split_training}
        for name, way in ways.items():
            errors, overlaps, began = [], [], time.process_time()
            for t, (task, x, y) in enumerate(zip(tasks, X, Y, strict=True)):
                mean, scale = y.mean(), y.std()
                label = (y - mean) / scale
                weak = weak_recovery(x, label, 0.35 * np.eye(rank), kind="distill", rng=seeded(t, 5))
                trained = way(x, label, weak.direction)
                test = seeded(t, 6).standard_normal((N_TEST, rank))
                errors.append(
                    np.minimum((mean + scale * trained.predict(test) - task.mean(test)) ** 2, 9).mean()
                )
                overlaps.append(task.overlap(trained.direction))
            rows.append(
                {
                    "rank": rank,
                    "rows": n_rows,
                    "way": name,
                    "mse": float(np.median(errors)),
                    "mse_mean": float(np.mean(errors)),
                    "success": float(np.mean(np.array(overlaps) > 0.95)),
                    "cpu_ms": 1e3 * (time.process_time() - began) / n_tasks,
                }
            )
            show(rows[-1])
    return rows


def fit_each(X: np.ndarray, Y: np.ndarray, **params: object) -> list:
    """The loop that the batched fit is compared with."""
    return [SingleIndexRegressor(**params).fit(x, y) for x, y in zip(X, Y, strict=True)]  # type: ignore[arg-type]


def cpu_ms(work: Callable[[], object], repeats: int) -> float:
    """Median processor time in milliseconds, after one warm-up."""
    work()
    times = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return 1e3 * float(np.median(times))


def speed(n_tasks: int) -> list[Row]:
    """One fit, the batched fit, pretraining, and memory of the attention; processor time on one thread."""
    rows: list[Row] = []

    def add(**row: object) -> None:
        rows.append(row)
        show(row)

    subspaces = {(d, r): np.linalg.qr(seeded(d, r).standard_normal((d, r)))[0] for d, r in ((16, 4), (64, 4))}
    for dim, rank, n_rows in (
        *((16, 4, n) for n in (32, 64, 128, 256, 512, 1024, 2048, 4096)),
        (64, 4, 1024),
        *((d, d, 1024) for d in (4, 8, 16, 32)),
    ):
        subspace = subspaces.get((dim, rank))
        basis = np.eye(dim) if subspace is None else subspace
        family = SingleIndexFamily(basis, noise=NOISE)
        _, X, Y = make_tasks(family, 1, n_rows)
        model = SingleIndexRegressor(subspace=subspace, random_state=0)
        add(what="one fit", dim=dim, rank=rank, rows=n_rows, ms=cpu_ms(partial(model.fit, X[0], Y[0]), 15))
    for dim in (4, 16):
        subspace = None if dim == 4 else subspaces[16, 4]
        family = SingleIndexFamily(np.eye(4) if subspace is None else subspace, noise=NOISE)
        _, X, Y = make_tasks(family, 64, 128)
        fit_all = partial(fit_many, X, Y, subspace=subspace, random_state=0)
        one_by_one = partial(fit_each, X, Y, subspace=subspace, random_state=0)
        loop, many = cpu_ms(one_by_one, 3), cpu_ms(fit_all, 3)
        add(
            what="64 tasks",
            dim=dim,
            rank=4,
            rows=128,
            loop_ms=loop / 64,
            many_ms=many / 64,
            ratio=loop / many,
        )
    for dim in (8, 16, 32):
        family = SingleIndexFamily.create(dim, 4, seed=ROOT + dim, noise=NOISE)
        for n_refine in (0, 256):
            began = time.process_time()
            found = pretrain_family(family, seed=ROOT, n_refine=n_refine)
            seconds = time.process_time() - began
            overlap = subspace_overlap(found.subspace, family.subspace)
            add(
                what="pretraining",
                dim=dim,
                rank=4,
                refined=n_refine,
                seconds=seconds,
                lost_overlap=1 - overlap,
            )
    for n_rows in (1000, 10_000, 100_000):
        generator = torch.Generator().manual_seed(0)
        keys, labels = (
            torch.randn(1, n_rows, 8, generator=generator),
            torch.randn(1, n_rows, generator=generator),
        )
        queries = torch.randn(1, 200, 8, generator=generator)
        ms = cpu_ms(partial(softmax_attention, keys, labels, queries, torch.eye(8)), 3)
        add(what="attention, 200 queries", rows=n_rows, ms=ms)
    return rows


def verdicts(results: dict[str, list[Row]]) -> list[Row]:
    """The numbers to reach, each with what was measured."""

    def pick(part: str, column: str, **where: object) -> float:
        match = [r for r in results.get(part, []) if all(r.get(k) == v for k, v in where.items())]
        return float(match[0][column]) if match else float("nan")  # type: ignore[arg-type]

    out: list[Row] = []

    def add(claim: str, value: float, holds: bool) -> None:
        if np.isfinite(value):  # a part that was not run says nothing
            out.append({"claim": claim, "value": value, "holds": bool(holds)})

    variant = {4: "one step", 8: "one step", 16: "one step"}
    for dim in (4, 8, 16):
        for n_rows, limit in ((128, 0.05), (1024, 0.010)):
            value = pick("accuracy", "mse", dim=dim, rank=4, rows=n_rows, variant=variant[dim])
            add(f"r=4, d={dim}, N={n_rows}: MSE <= {limit}", value, value <= limit)
    for name in ("one step", "refined subspace", "one step, relu read-out"):
        values = [
            pick(
                "accuracy",
                "mse",
                dim=d,
                rank=4,
                rows=1024,
                variant="one step" if d == 4 and "ref" in name else name,
            )
            for d in (4, 8, 16)
        ]
        spread = max(values) / min(values) - 1
        add(f"r=4, N=1024, d in 4, 8, 16 within 30% ({name})", spread, spread <= 0.3)
    for dim, rank, n_rows in ((16, 8, 128), (16, 16, 256)):
        value = pick("accuracy", "success", dim=dim, rank=rank, rows=n_rows, variant="one step")
        add(f"r={rank}, N={n_rows}: success >= .95", value, value >= 0.95)
    value = pick("accuracy", "mse", rows=512, variant="no subspace")
    add("no subspace, d=8, N=512: MSE <= .03", value, value <= 0.03)
    for dim in (4, 8):
        value = pick("accuracy", "mse", dim=dim, rank=4, rows=4096, variant="one step") / NOISE**2
        add(f"squared error at N=4096 at most 1% of the noise, d={dim}", value, value <= 0.01)
    value = pick("stage_one", "distill", rank=32) / pick("stage_one", "labels", rank=32)
    add("stage I, r=32: distilled overlap over true-label overlap >= 2.5", value, value >= 2.5)
    value = pick("speed", "ms", what="one fit", dim=16, rank=4, rows=1024)
    add("one fit at N=1024 <= 60 ms", value, value <= 60)
    value = pick("speed", "ratio", what="64 tasks", dim=16)
    add("64 tasks at N=128: batched at least 5x faster per task", value, value >= 5)
    value = pick("speed", "seconds", what="pretraining", dim=16, refined=0)
    add("pretraining at d=16 < 3 s", value, value < 3)
    return out


def show(row: Row) -> None:
    """Print one row."""
    print(
        "  ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items()), flush=True
    )


PARTS: dict[str, Callable[[int], list[Row]]] = {
    "accuracy": accuracy,
    "stage_one": stage_one,
    "without_stage_one": without_stage_one,
    "joint": joint,
    "speed": speed,
}


SHARE = {"joint": 2 / 3, "stage_one": 10 / 3}
"""Tasks of a part relative to --tasks: joint training is slow, and overlaps after one step vary a lot."""


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", choices=sorted(PARTS), default=list(PARTS))
    parser.add_argument("--tasks", type=int, default=30)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    results: dict[str, list[Row]] = {}
    for name in arguments.only:
        print(f"\n{name}", flush=True)
        results[name] = PARTS[name](int(SHARE.get(name, 1) * arguments.tasks))
    print("\nnumbers to reach", flush=True)
    results["verdicts"] = verdicts(results)
    for row in results["verdicts"]:
        show(row)
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
