"""Make the two tables that ship with the package from the files of the UCI Machine Learning Repository.

    python benchmarks/bundle_tables.py --adult FOLDER_WITH_ADULT_DATA_AND_TEST --pendigits penbased.dat

Rows are drawn without replacement with a fixed seed and kept in the drawn order; values are not changed,
except that "?" becomes an empty field. The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd

ROWS = {"adult": 10_000, "pendigits": 6_000}
SEED = 20_261_122
ADULT = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education_num",
    "marital_status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital_gain",
    "capital_loss",
    "hours_per_week",
    "native_country",
    "income",
]
PENDIGITS = [f"{axis}{point}" for point in range(1, 9) for axis in "xy"] + ["digit"]
DATA = Path(__file__).parent.parent / "src" / "testtime" / "tasks" / "data"


def read_adult(folder: Path) -> pd.DataFrame:
    """Read both parts of Adult; the test part has a comment line and a full stop after each label."""
    options = {
        "header": None,
        "names": ADULT,
        "skipinitialspace": True,
        "na_values": ["?"],
        "keep_default_na": False,
    }
    parts = [
        pd.read_csv(folder / "adult.data", **options),
        pd.read_csv(folder / "adult.test", comment="|", **options),
    ]
    table = pd.concat(parts, ignore_index=True)
    table["income"] = table["income"].str.rstrip(".")
    return table


def write(table: pd.DataFrame, name: str) -> None:
    """Write the drawn rows as a gzip file without a time stamp, so that its bytes are reproducible."""
    rows = np.random.default_rng(SEED).choice(len(table), size=ROWS[name], replace=False)
    text = table.iloc[rows].to_csv(index=False, lineterminator="\n")
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=9, mtime=0) as stream:
        stream.write(text.encode())
    path = DATA / f"{name}.csv.gz"
    path.write_bytes(buffer.getvalue())
    print(f"{path.name}: {len(rows):,} of {len(table):,} rows, {path.stat().st_size:,} bytes")


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--adult", type=Path, required=True, help="folder with adult.data and adult.test")
    parser.add_argument(
        "--pendigits", type=Path, required=True, help="file with 16 integers and a digit per row"
    )
    arguments = parser.parse_args()
    write(read_adult(arguments.adult), "adult")
    write(pd.read_csv(arguments.pendigits, header=None, names=PENDIGITS), "pendigits")


if __name__ == "__main__":
    main()
