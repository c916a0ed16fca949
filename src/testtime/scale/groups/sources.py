"""Where groups come from: a frame in memory, or a partitioned Parquet folder of which one group is read at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from testtime.errors import InputError, nearest, sentence
from testtime.scale.groups.names import as_day, half_a_character, keys_of, named, spelled_alike

__all__ = ["Piece", "Source", "batches", "drawn_pieces", "drawn_rows", "source_of"]

_DRAWN_GROUPS = 256
_DRAWN_ROWS = 1_024


@dataclass(frozen=True)
class Piece:
    """One group on its way to a worker: its rows, or the files in which they are.

    Attributes
    ----------
    name
        The group.
    columns
        Columns that name the group; they are no features.
    rows
        The rows; None if they are in `paths`.
    root, paths
        A partitioned folder, and the files of the group in it.
    """

    name: str
    columns: tuple[str, ...]
    rows: pd.DataFrame | None = None
    root: str = ""
    paths: tuple[str, ...] = ()

    def read(self) -> pd.DataFrame:
        """Return the rows without the columns that name the group.

        Raises
        ------
        InputError
            If a file cannot be read.
        """
        rows = self.rows if self.rows is not None else _read(self.root, self.paths, self.columns)
        return rows.drop(columns=[name for name in self.columns if name in rows])


class Source(Protocol):
    """Groups in the order of their names."""

    @property
    def by(self) -> tuple[str, ...]:
        """Columns that name the groups."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """Name of each group."""
        ...

    @property
    def n_without_group(self) -> int:
        """Rows that name no group."""
        ...

    def piece(self, name: str) -> Piece:
        """Return one group."""
        ...


def source_of(data: Any, by: Sequence[str]) -> Source:
    """Return the groups of a frame, or of a Parquet folder that is partitioned by the columns `by`.

    Raises
    ------
    InputError
        If a column is not there or is named twice, the folder is not partitioned by it, two groups have the same name,
        or a name is no text.
    """
    if not by:
        raise InputError(sentence("by names no column", expected="the column that names the groups"))
    twice = next((name for name in by if list(by).count(name) > 1), None)
    if twice is not None:
        got = f"the column {twice!r} is to name the groups twice"
        raise InputError(sentence(got, expected="each column once", remedy="Leave one out"))
    if isinstance(data, (str, os.PathLike)):
        return _ParquetGroups(os.fspath(data), tuple(by))
    from testtime.table.columns import as_frame

    return _FrameGroups(as_frame(data), tuple(by))


def drawn_rows(source: Source, seed: np.random.SeedSequence) -> pd.DataFrame:
    """Return at most 1,024 rows, equally many of each group that has them; of many groups some are drawn.

    Columns are those that all of these groups have, so that the rows of any can be answered from them. Groups that
    cannot be read are left out.

    Raises
    ------
    InputError
        If none can be read.
    """
    rng, names = np.random.default_rng(seed), list(source.names)
    if len(names) > _DRAWN_GROUPS:
        names = [names[i] for i in np.sort(rng.choice(len(names), _DRAWN_GROUPS, replace=False))]
    share = _DRAWN_ROWS // len(names)
    found: list[pd.DataFrame] = []
    unread: InputError | None = None
    for name in names:
        try:
            rows = source.piece(name).read()
        except InputError as error:  # it is said when the group itself is adapted to
            unread = error
            continue
        found.append(rows.iloc[np.sort(rng.permutation(len(rows))[:share])])
    if not found and unread is not None:
        raise unread
    shared = [column for column in found[0].columns if all(column in rows for rows in found)]
    return pd.concat([rows.loc[:, shared] for rows in found] if shared else found, ignore_index=True)


class _FrameGroups:
    """Groups of a frame; rows are copied only as each group is asked for."""

    def __init__(self, frame: pd.DataFrame, by: tuple[str, ...]) -> None:
        for name in by:
            if name not in frame:
                got = f"the table has no column {name!r}"
                raise InputError(sentence(got, remedy=nearest(name, frame.columns)))
        self._frame, self.by = frame, by
        self._rows: dict[str, np.ndarray] = {}
        taken: dict[str, list[str]] = {}
        try:
            texts: Any = frame  # in which each name is there once
            columns = pd.DataFrame({name: keys_of(texts[name]) for name in by})
            found = columns.groupby(list(by), sort=False, observed=True, dropna=True).indices
        except UnicodeEncodeError as error:  # of pandas, where it keeps text with PyArrow
            raise half_a_character(error) from error
        for key, rows in found.items():
            name, taken[name] = named(key if isinstance(key, tuple) else (key,), by, taken)
            self._rows[name] = rows
        self.names = sorted(self._rows)
        self.n_without_group = len(frame) - sum(map(len, self._rows.values()))
        _refuse_none(self.names, by)

    def piece(self, name: str) -> Piece:
        return Piece(name, self.by, rows=self._frame.iloc[self._rows[name]].reset_index(drop=True))


class _ParquetGroups:
    """Groups of a folder such as ``shop=7/part-0.parquet``; only names and footers of files are looked at here."""

    def __init__(self, root: str, by: tuple[str, ...]) -> None:
        import pyarrow.dataset as ds

        self._root, self.by = root, by
        dataset = _opened(root, None, by)
        self._paths: dict[str, list[str]] = {}
        self.n_without_group = 0
        fragments, found = list(dataset.get_fragments()), []
        for fragment in fragments:
            keys = ds.get_partition_keys(fragment.partition_expression)
            missing = [name for name in by if name not in keys]
            if missing:
                raise InputError(
                    sentence(
                        f"{root!r} is not partitioned by {missing[0]!r}",
                        expected=f"folders such as {missing[0]}=VALUE/",
                        why="groups are read one at a time, without the others",
                        remedy=f"Write it with: frame.to_parquet(folder, partition_cols=[{missing[0]!r}])",
                    )
                )
            found.append([as_day(keys[name]) for name in by])
        names: dict[tuple[Any, ...], str] = {}
        taken: dict[str, list[str]] = {}
        columns = map(spelled_alike, zip(*found, strict=True))  # one column tells how its names are spelled
        for fragment, key in zip(fragments, zip(*columns, strict=True), strict=True):
            if None in key:
                self.n_without_group += fragment.count_rows()
                continue
            if key not in names:
                names[key], taken[names[key]] = named(key, by, taken)
            self._paths.setdefault(names[key], []).append(fragment.path)
        self.names = sorted(self._paths)
        _refuse_none(self.names, by)

    def piece(self, name: str) -> Piece:
        return Piece(name, self.by, root=self._root, paths=tuple(sorted(self._paths[name])))


def _refuse_none(names: Sequence[str], by: Sequence[str]) -> None:
    if not names:
        raise InputError(
            sentence(
                f"there is no group: no row has a value of {', '.join(by)}", expected="at least one group"
            )
        )


def _opened(root: str, paths: Sequence[str] | None, by: Sequence[str]) -> Any:
    """Open a folder, or some files of it, of which partition columns are read from their place in it.

    Those in `by` are texts, as they are in a file: "007" and "7" are two groups.
    """
    import fsspec
    import pyarrow as pa
    import pyarrow.dataset as ds

    try:
        system, base = fsspec.core.url_to_fs(root)
        what = base if paths is None else list(paths)
        base_dir = {} if paths is None else {"partition_base_dir": base}
        opened = {"filesystem": system, "format": "parquet", **base_dir}
        found = ds.dataset(what, partitioning="hive", **opened)
        levels = {part.partition("=")[0] for file in found.files for part in file.split("/") if "=" in part}
        types = [
            pa.field(one.name, pa.string() if one.name in by else one.type)
            for one in found.partitioning.schema
            if one.name in levels
        ]
        return ds.dataset(what, partitioning=ds.partitioning(pa.schema(types), flavor="hive"), **opened)
    except (OSError, ValueError, ImportError, pa.ArrowException) as error:
        why = str(error).splitlines()[0]
        raise InputError(
            sentence(f"{root!r} cannot be read", expected="a folder of Parquet files", why=why)
        ) from error


def _read(root: str, paths: Sequence[str], by: Sequence[str]) -> pd.DataFrame:
    import pyarrow as pa

    try:
        opened = _opened(root, paths, by)
        if len(paths) > 1:  # files that were added later may have more columns
            schemas = [opened.schema, *(part.physical_schema for part in opened.get_fragments())]
            opened = opened.replace_schema(pa.unify_schemas(schemas, promote_options="permissive"))
        table = opened.to_table(use_threads=False)
        # What names the group is text here, and may be of another type in what pandas wrote about the columns.
        return table.drop_columns([name for name in by if name in table.column_names]).to_pandas()
    except (OSError, pa.ArrowException) as error:
        why = str(error).splitlines()[0]
        raise InputError(sentence(f"a file below {root!r} cannot be read", why=why)) from error


def drawn_pieces(source: Source, most: int, seed: np.random.SeedSequence) -> list[Piece]:
    """Return some groups."""
    names = np.random.default_rng(seed).permutation(np.array(source.names, dtype=object))[:most]
    return [source.piece(name) for name in sorted(names)]


def batches(source: Source, size: int) -> Iterator[tuple[Piece, ...]]:
    """Yield so many groups at a time."""
    for begin in range(0, len(source.names), size):
        yield tuple(source.piece(name) for name in source.names[begin : begin + size])
