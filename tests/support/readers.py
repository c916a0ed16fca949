"""A typed table, written in every format and packing."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from functools import partial

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet


def packed(data: bytes, how: str) -> bytes:
    """Return data as tools pack it; without the time of day, since test processes compare names with bytes in them."""
    if how == "zip":
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for name, content in (
                ("folder/", b""),
                ("folder/table.csv", data),
                ("__MACOSX/folder/._table.csv", b"x"),
            ):
                archive.writestr(zipfile.ZipInfo(name), content)
        return stream.getvalue()
    return {"": bytes, "gzip": partial(gzip.compress, mtime=0), "bz2": bz2.compress, "xz": lzma.compress}[
        how
    ](data)


def typed_table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "x": [1.5, None, 3.0, 4.0, 6.0],
            "n": pd.array([3, 1, None, 2, 2], dtype="Int32"),
            "flag": pd.array([True, None, False, True, False], dtype="boolean"),
            "text": ["b", None, "a", "b", "a"],
            "digits": ["01", "2", "1", "2", "1"],
            "day": pd.to_datetime(["2024-01-01", None, "2024-02-01", "2024-03-01", "2023-01-01"]),
            "at": pd.to_datetime(["2024-01-01T12:00Z", None, "2024-02-01T06:00Z", "2024-03-01T00:00Z", None]),
        }
    )


def write_as(form: str, path) -> None:
    frame = typed_table()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if form == "CSV":
        frame.to_csv(path, index=False)
    elif form == "Parquet":
        pa.parquet.write_table(table, path, row_group_size=2)
    elif form == "Feather":
        pa.feather.write_feather(table, path, chunksize=2)
    elif form == "Feather 1":
        pa.feather.write_feather(
            table.drop_columns(["at"]).append_column("at", table["at"].cast(pa.timestamp("us"))),
            path,
            version=1,
        )
    elif form == "stream":
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    elif form == "JSON":
        frame.to_json(path, orient="records", lines=True, date_format="iso")
    elif form == "JSON array":
        frame.to_json(path, orient="records", date_format="iso")
    else:
        frame.assign(at=frame["at"].dt.tz_localize(None)).to_excel(path, index=False)


FORMS = ["CSV", "Parquet", "Feather", "Feather 1", "stream", "JSON", "JSON array", "Excel"]
