"""Questions with several answers: what is on a list says more than the list."""

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from testtime import TTTRegressor, load
from testtime.table.columns import TableColumns
from testtime.table.columns.alone import read_as_numbers
from testtime.table.columns.cells import WordCells
from testtime.table.columns.kinds.parts import ListItems, find_items, find_parts

ANSWERS = ["Red wine", "Blue cheese", "VIP client", "New York", "Data (raw)", "C++"]
WORTH = np.array([1.0, -1.0, 0.8, 0.5, -0.7, 0.3])


def words(texts) -> WordCells:
    return WordCells(pa.array(texts, pa.large_string()))


def lists(n: int, separator: str = ";", n_items: int = 6) -> tuple[list[str], np.ndarray]:
    given = np.random.default_rng(2).random((n, 6)) < 0.4
    given[:, n_items:] = False
    given[~given.any(1), 0] = True
    return [separator.join(a for a, there in zip(ANSWERS, row, strict=True) if there) for row in given], given


@pytest.mark.parametrize("separator", [";", ", ", " | ", "/", "\n"])
@pytest.mark.parametrize("n_items", [4, 6])
def test_items_of_lists_are_found_whatever_separates_them(separator, n_items):
    texts, given = lists(300, separator, n_items)
    found = find_items(words(texts), "likes")
    assert found.items == sorted(answer.lower() for answer in ANSWERS[:n_items])
    outputs = found.outputs(words([*texts[:50], None]))
    own = np.argsort([answer.lower() for answer in ANSWERS[:n_items]])
    assert [one.name for one in outputs] == [f"likes: {item!r}" for item in found.items]
    np.testing.assert_array_equal(
        np.column_stack([one.values for one in outputs])[:50], given[:50, :n_items][:, own]
    )
    assert np.isnan([one.values[-1] for one in outputs]).all()


@pytest.mark.parametrize(
    "texts",
    [
        [f"Street {i}, Town {i % 7}" for i in range(300)],  # hardly any repeats
        ["Bonn, DE", "Köln, DE", "Lyon, FR", "Nice, FR", "Rome, IT"] * 60,  # no more lists than items
        ["120/80", "130/90", "120/90", "130/80", "140/80", "140/90"] * 50,  # numbers
        ["and/or", "yes", "no", "maybe", "never"] * 60,  # hardly any is a list
        ["a;b"] * 300,
        [],
    ],
)
def test_what_are_no_lists_have_no_items(texts):
    assert find_items(words(texts), "c") is None


def test_a_new_item_is_none_of_those_that_are_known():
    texts, _ = lists(300)
    found = find_items(words(texts), "likes")
    outputs = found.outputs(words(["c++;Fortran", "FORTRAN", " new york ; C++ "]))
    assert [sum(values) for values in zip(*(one.values for one in outputs), strict=True)] == [1.0, 0.0, 2.0]


def test_a_model_knows_the_items_and_is_saved_with_them(tmp_path):
    texts, given = lists(500)
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"likes": texts, "x": rng.normal(size=500)})
    y = given @ WORTH + X["x"].to_numpy() + 0.3 * rng.normal(size=500)
    model = TTTRegressor(n_steps=0, random_state=0).fit(X[:300], y[:300])
    assert any("items of 'likes'" in note for note in model.adaptation_.notes)
    assert np.sqrt(np.mean((model.predict(X[300:]) - y[300:]) ** 2)) < 0.4  # .6 without, .3 is the noise
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").predict(X[300:]), model.predict(X[300:]))


def test_a_declared_kind_is_that_and_nothing_else():
    texts, _ = lists(300)
    frame = pd.DataFrame({"likes": texts, "n": np.arange(300.0) % 7})
    assert isinstance(TableColumns().fit(frame).parts_in(frame)[0][0], ListItems)
    assert TableColumns({"likes": "nominal"}).fit(frame).parts_in(frame) == []


def test_versions_and_addresses_have_no_decimal_signs():
    found = find_parts(words([f"v{i % 3}.{i % 10}.{i % 11}-beta" for i in range(200)]), "version")
    assert found.shape == "wnnnw"
    by_name = {one.name: one.values for one in found.outputs(words(["v1.10.2-beta", "v1.1.2-beta"]))}
    assert by_name["version: part 3"].tolist() == [10.0, 1.0]
    assert find_parts(words([f"{i % 3 + 0.5} x {i % 7},25" for i in range(200)]), "size").shape == "nwn"


def test_a_new_part_stands_where_it_would_be_among_the_others():
    colours = ["BLUE", "GREEN", "RED"]
    found = find_parts(words([f"SHIRT-{colours[i % 3]}-{i}" for i in range(60)]), "sku")
    values = found.outputs(words(["SHIRT-CYAN-1", "SHIRT-RED-1", "SHIRT-YELLOW-1", "SHIRT-AQUA-1"]))[0].values
    assert values.tolist() == [0.5, 2.0, 2.5, -0.5]


class TestWordsAmongNumbers:
    """Most cells are different numbers, and the others a few words."""

    @pytest.fixture
    def kind(self):
        def kind(cells, **declared) -> str:
            frame = pd.DataFrame({"c": cells, "n": np.arange(len(cells)) % 7})
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return TableColumns().fit(frame).records[0].kind

        return kind

    def test_they_are_numbers_and_the_words_are_missing(self, kind):
        numbers = [f"{100 + 3.7 * i:.1f}" for i in range(100)]
        assert kind(numbers + ["pending", "see comment"] * 20) == "number"
        assert kind([f"2020-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(100)] + ["open"] * 30) == "date"

    def test_words_with_digits_many_words_single_ones_and_few_numbers_are_levels(self, kind):
        numbers = [f"{100 + 3.7 * i:.1f}" for i in range(100)]
        assert kind(numbers + ["12A", "13B"] * 20) != "number"
        assert kind(numbers + [f"{a}{b}" for a in "abcdef" for b in "xyz"] * 2) != "number"
        assert kind(numbers + list("abcdefgh")) != "number"
        assert kind([str(i % 20) for i in range(100)] + ["pending"] * 20) == "nominal"

    def test_fewer_numbers_than_words_are_levels(self, kind):
        assert kind([f"{100 + 3.7 * i:.1f}" for i in range(40)] + ["pending"] * 41) != "number"


@pytest.mark.parametrize("mark", ["~", "≈ ", "ca. ", "approx. ", "about ", "c. ", "rund ", "Circa "])
def test_rough_numbers_are_numbers(mark):
    cells = [f"{mark}{1900 + i}" if i % 4 == 0 else str(1900 + i) for i in range(100)]
    columns = TableColumns().fit(frame := pd.DataFrame({"built": cells, "n": np.arange(100) % 7}))
    np.testing.assert_array_equal(columns.transform(frame).x[:, 0], np.arange(1900.0, 2000.0))
    assert any("rough numbers" in note for note in columns.notes)


def test_a_target_is_not_made_numbers_by_leaving_out_rows():
    """A few words are missing cells of a feature; of a target each is a row that nothing is learned from."""
    numbers = [f"{100 + 3.7 * i:.1f}" for i in range(100)]
    beside = pd.DataFrame({"n": np.arange(140) % 7})
    assert read_as_numbers(pd.Series(numbers + ["pending"] * 40, name="c"), beside) is None
    assert read_as_numbers(pd.Series(numbers + ["pending"] * 5, name="c"), beside[:105]).lost == {
        "pending": 5
    }
