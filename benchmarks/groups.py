"""Adapters per minute: one for each group of a table, by engine, and tabicl's own fine-tuner in a plain loop.

    python -m benchmarks.groups [--groups 200] [--rows 400] [--jobs 2] [--engines joblib ray] [--grow 10 100]
                                [--alone 8] [--tuned 3] [--shapes 128 400] [--out FILE]

Groups are of scikit-learn's make_classification (10 columns, two classes), each with its own seed. They are adapted
together, as `testtime adapt --by COL --together` does, and `--alone` of them each by itself, as without it. The
fine-tuner takes the same embedded weights with its own defaults, on `--tuned` of the groups. Seconds of a run include
the shared model, reading and writing. "ray" starts a cluster of this machine for itself. The store is measured with
copies of one adapter under other names, and with two processes that do 500 operations each.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import make_classification

from benchmarks.official import tuned_probabilities
from testtime import AdapterStore, TTTClassifier, adapt_groups
from testtime.estimators.saved import save
from testtime.estimators.together import fit_together
from testtime.scale.groups.adapt import LIGHT
from testtime.serve.models import Models
from testtime.table.tail_episodes import TailRecipe

STEPS = LIGHT["n_steps"]

_ENGINES = ("serial", "joblib", "ray")


def table_of_groups(n_groups: int, n_rows: int) -> pd.DataFrame:
    """Return the groups below each other, with the columns "group" and "y"."""
    frames = []
    for seed in range(n_groups):
        x, y = make_classification(n_rows, 10, n_informative=4, flip_y=0.05, random_state=seed)
        frames.append(pd.DataFrame(x).add_prefix("x").assign(y=y, group=f"g{seed:04d}"))
    return pd.concat(frames, ignore_index=True)


def by_engine(table: pd.DataFrame, engine: str, jobs: int, members: int | None) -> dict[str, Any]:
    """Adapt to all groups: together, or with so many adapters each by itself."""
    estimator = TTTClassifier() if members is None else TTTClassifier(n_members=members, n_steps=STEPS)
    with tempfile.TemporaryDirectory() as folder:
        before = _cpu_seconds()
        groups = adapt_groups(
            table,
            target="y",
            by="group",
            store=folder,
            estimator=estimator,
            engine=engine,
            n_jobs=jobs,
            together=members is None,
        )
        cpu = _cpu_seconds() - before
        store, names = AdapterStore(folder), [group.name for group in groups]
        records = [store.load(name).adaptation_ for name in names[:20]]
        models = Models(store, cache_bytes=2**40)
        held = [models.get(name)[1].n_bytes for name in names[:20]]
    return {
        "way": f"testtime, {'together' if members is None else f'{members} adapters each'}, {engine}",
        "groups": len(groups),
        "failed": len(groups.failed),
        "seconds": groups.seconds,
        "cpu_seconds": cpu,
        "per_minute": 60 * len(groups) / groups.seconds,
        "kept": float(np.mean([record.kept for record in records])),
        "gain": float(np.mean([group.gain for group in groups])),
        "bytes_saved": float(np.median([group.n_bytes for group in groups])),
        "bytes_of_deltas": max(record.adapter_bytes for record in records),
        "bytes_in_memory": float(np.median(held)),
    }


def _cpu_seconds() -> float:
    """Processor time of this process and of those it started and that have ended."""
    return sum(os.times()[:4])


def by_tuner(table: pd.DataFrame, n_groups: int) -> dict[str, Any]:
    """Tune on some of the groups, one after the other."""
    start, before = time.perf_counter(), _cpu_seconds()
    for seed, (_, rows) in enumerate(list(table.groupby("group"))[:n_groups]):
        x = rows.drop(columns=["y", "group"]).to_numpy()
        tuned_probabilities(x, x[:10], rows["y"].to_numpy(), seed)
    seconds = time.perf_counter() - start
    base = (files("testtime.backbones") / "weights" / "classifier.safetensors").read_bytes()
    return {
        "way": "tabicl's fine-tuner, loop",
        "groups": n_groups,
        "failed": 0,
        "seconds": seconds,
        "cpu_seconds": _cpu_seconds() - before,
        "per_minute": 60 * n_groups / seconds,
        "bytes_saved": len(base),
        "bytes_of_deltas": len(base),
    }


def of_shared_step(sizes: list[int], n_groups: int = 8) -> list[dict[str, Any]]:
    """One pass over some groups against one pass for each, on one core; the first run of both is not timed."""
    found = []
    for n_rows in sizes:
        groups = [rows for _, rows in table_of_groups(n_groups, n_rows).groupby("group")]
        tables = [(rows.drop(columns=["y", "group"]), rows["y"]) for rows in groups]
        seconds, losses = {}, {}
        for way, size in (("together", n_groups), ("alone", 1)):
            for _ in range(2):
                fitted = [TTTClassifier(random_state=seed) for seed in range(n_groups)]
                start = time.process_time()
                for k in range(0, n_groups, size):
                    fit_together(fitted[k : k + size], tables[k : k + size], TailRecipe())
                seconds[way] = time.process_time() - start
            losses[way] = np.array([one.adaptation_.losses for one in fitted])
        found.append(
            {
                "rows": n_rows,
                "groups": n_groups,
                "cpu_seconds_together": seconds["together"] / n_groups,
                "cpu_seconds_alone": seconds["alone"] / n_groups,
                "largest_difference_of_losses": float(np.abs(losses["together"] - losses["alone"]).max()),
            }
        )
    return found


def of_store(sizes: list[int]) -> list[dict[str, Any]]:
    """Seconds of store operations with so many adapters in it."""
    rows = table_of_groups(1, 100)
    fitted = TTTClassifier(n_steps=0, n_members=1).fit(rows.drop(columns=["y", "group"]), rows["y"])
    found = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            store = AdapterStore(Path(folder) / "store")
            for k in range(size):
                adapter = save(
                    fitted, Path(folder) / "adapters" / str(k), documents={"tenant": {"number": k}}
                )
                if k == size - 1:
                    start = time.perf_counter()
                store.add(f"tenant {k}", adapter)
            timings = {"adapters": size, "add": time.perf_counter() - start}
            for name in ("list", "names", "verify"):
                start = time.perf_counter()
                getattr(store, name)()
                timings[name] = time.perf_counter() - start
            start = time.perf_counter()
            store.current("tenant 0")
            timings["current"] = time.perf_counter() - start
            found.append(timings)
    return found


def _operations(where: str, adapters: list[str], seed: int, n: int) -> None:
    store, rng = AdapterStore(where), np.random.default_rng(seed)
    for _ in range(n):
        name = f"tenant {rng.integers(5)}"
        act = rng.choice(["add", "rollback", "read", "list"])
        if act == "add":
            store.add(name, adapters[rng.integers(len(adapters))])
        elif act == "rollback":
            store.rollback(name, 1)
        elif act == "read":
            with store.folder(name):
                pass
        else:
            store.list()


def two_writers(n_each: int) -> dict[str, Any]:
    """Two processes that add, roll back, read and list at once; the store is then verified."""
    rows = table_of_groups(1, 100)
    fitted = TTTClassifier(n_steps=0, n_members=1).fit(rows.drop(columns=["y", "group"]), rows["y"])
    with tempfile.TemporaryDirectory() as folder:
        adapters = [
            os.fspath(save(fitted, Path(folder) / str(k), documents={"tenant": {"number": k}}))
            for k in range(4)
        ]
        where = os.path.join(folder, "store")
        for k in range(5):
            AdapterStore(where).add(f"tenant {k}", adapters[0])
        start = time.perf_counter()
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            pool.starmap(_operations, [(where, adapters, seed, n_each) for seed in (1, 2)])
        seconds = time.perf_counter() - start
        store = AdapterStore(where)
        return {
            "operations": 2 * n_each,
            "seconds": seconds,
            "versions": sum(len(store.versions(name)) for name in store.names()),
            "damaged": len(store.verify()),
        }


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--groups", type=int, default=200)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--grow", nargs="*", type=int, default=[10, 100], help="Other numbers of groups.")
    parser.add_argument(
        "--alone", type=int, default=8, help="Groups that are fitted each by itself; 0 for none."
    )
    parser.add_argument("--members", type=int, default=LIGHT["n_members"], help="Adapters of each of these.")
    parser.add_argument(
        "--shapes", nargs="*", type=int, default=[128, 400], help="Rows, for the shared step."
    )
    parser.add_argument(
        "--tuned", type=int, default=3, help="Groups for tabicl's fine-tuner; 0 leaves it out."
    )
    parser.add_argument("--engines", nargs="*", choices=_ENGINES, default=["serial", "joblib"])
    parser.add_argument("--store-sizes", nargs="*", type=int, default=[10, 100, 1000])
    parser.add_argument("--operations", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/groups.json"))
    given = parser.parse_args()
    if "ray" in given.engines:
        import ray

        ray.init(num_cpus=given.jobs, include_dashboard=False, log_to_driver=False)
    table = table_of_groups(given.groups, given.rows)
    settings = {name: value for name, value in vars(given).items() if name != "out"}
    content: dict[str, Any] = {"settings": settings, "ways": []}

    def keep(**found: Any) -> None:
        """Write what is there: a run that is stopped keeps what it has measured."""
        content.update(found, load=os.getloadavg()[0])
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(content, indent=1) + "\n")

    for engine in given.engines:
        keep(ways=[*content["ways"], by_engine(table, engine, given.jobs, None)])
    for n in given.grow:
        smaller = table_of_groups(n, given.rows)
        keep(ways=[*content["ways"], by_engine(smaller, given.engines[0], given.jobs, None)])
    if given.alone:
        some = table_of_groups(given.alone, given.rows)
        keep(ways=[*content["ways"], by_engine(some, given.engines[0], given.jobs, given.members)])
    if given.tuned:
        keep(ways=[*content["ways"], by_tuner(table, given.tuned)])
    keep(shared_step=of_shared_step(given.shapes))
    keep(store=of_store(given.store_sizes), writers=two_writers(given.operations // 2))
    ways, shapes, stores, writers = (content[key] for key in ("ways", "shared_step", "store", "writers"))
    print(pd.DataFrame(ways).round(2).to_string(index=False))
    print(pd.DataFrame(shapes).round(6).to_string(index=False))
    print(pd.DataFrame(stores).round(4).to_string(index=False))
    print(writers)


if __name__ == "__main__":
    main()
