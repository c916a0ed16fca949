"""What is in text that is no level as a whole: parts of codes, and words that many rows have."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from testtime.errors import InputError
from testtime.table.columns import TableColumns
from testtime.table.columns.cells import WordCells
from testtime.table.columns.kinds.parts import CodeParts, TextWords, find_beginnings, find_parts


def words(texts: list[str | None]) -> WordCells:
    return WordCells(pa.array(texts, pa.large_string()))


def outputs(parts: CodeParts | TextWords, texts: list[str | None]) -> dict[str, list[float]]:
    return {one.name: one.values.tolist() for one in parts.outputs(words(texts))}


class TestCodes:
    def test_places_are_levels_and_numbers(self):
        rng = np.random.default_rng(0)
        skus = [
            f"{rng.choice(['SHIRT', 'HAT'])}-{rng.choice(list('SML'))}-{rng.integers(100, 999)}"
            for _ in range(60)
        ]
        parts = find_parts(words(skus), "sku")
        assert isinstance(parts, CodeParts)
        assert parts.shape == "wwn"
        found = outputs(parts, ["HAT-M-417", "shirt-l-100", "TIE-S-5", "nothing of it", None])
        nan = pytest.approx([np.nan, np.nan], nan_ok=True)
        assert found["sku: part 1"][:3] == [0.0, 1.0, 1.5]  # hat, shirt, one behind them that nobody has seen
        assert found["sku: part 2"][:3] == [1.0, 0.0, 2.0]
        assert found["sku: part 3"][:3] == [417.0, 100.0, 5.0]
        assert all(values[3:] == nan for values in found.values())
        assert [one.kind for one in parts.outputs(words(skus))] == ["nominal", "nominal", "number"]

    @pytest.mark.parametrize(
        ("text", "shape"),
        [("C47.3", "wn"), ("40x30x20 cm", "nwnwnw"), ("6h 22m", "nwnw"), ("3,5 kg", "nw"), ("Ä-é-1", "wwn")],
    )
    def test_shapes(self, text: str, shape: str):
        texts = [text.replace("3", str(k)).replace("1", str(k)).replace("2", str(k)) for k in range(3, 9)] * 5
        parts = find_parts(words(texts), "c")
        assert isinstance(parts, CodeParts)
        assert parts.shape == shape

    def test_numbers_of_all_kinds(self):
        texts = [f"a-{k % 7}" for k in range(40)]
        parts = find_parts(words(texts), "c")
        assert isinstance(parts, CodeParts)
        found = outputs(parts, ["a-" + 400 * "9", "a-²", "a-٣", "a-3,5", "a-1.25"])
        assert found["c: part 2"] == pytest.approx([np.nan, np.nan, 3.0, 3.5, 1.25], nan_ok=True)
        assert find_parts(words([f"{k % 7} m² x² ³{k}" for k in range(40)]), "c") is not None

    @pytest.mark.parametrize(
        ("sizes", "new", "meant"),
        [
            (["923", "1,020", "12,117"], ["1,5", "85", "3,250"], [1.5, 85.0, 3250.0]),
            (["923", "1.020", "12.117"], ["85", "3.250"], [85.0, 3250.0]),
            (["92.5", "1.020", "12.117"], ["85", "3.250"], [85.0, 3.25]),
            (["1,020", "1500", "900"], ["3,250"], [3.25]),  # larger numbers have no mark
            (["1,020", "2,117", "9,000"], ["3,250"], [3.25]),  # nothing tells
        ],
    )
    def test_marks_of_thousands_are_told_by_all_numbers_of_a_place(
        self, sizes: list[str], new: list[str], meant: list[float]
    ):
        texts = [f"{size} sqft {'house' if k % 2 else 'flat'}" for k in range(20) for size in sizes]
        parts = find_parts(words(texts), "c")
        assert isinstance(parts, CodeParts)
        again = CodeParts.model_validate_json(parts.model_dump_json())
        assert outputs(again, [f"{size} sqft house" for size in new])["c: part 1"] == meant

    def test_what_says_nothing_is_left_out(self):
        counted = [f"ORD-{k:05d}-{k % 3}-{chr(65 + k % 2)}x" for k in range(60)]
        parts = find_parts(words(counted), "order")
        assert isinstance(parts, CodeParts)
        # A word that never varies, and a number that counts the rows, also of a table the rows were drawn from.
        assert [place.at for place in parts.places] == [2, 3]
        order = np.random.default_rng(0).permutation(60)
        drawn = find_parts(words([counted[k] for k in order]), "order", order)
        assert isinstance(drawn, CodeParts)
        assert [place.at for place in drawn.places] == [2, 3]

    def test_words_that_hardly_repeat_are_no_levels(self):
        names = [f"{chr(97 + k // 26)}{chr(97 + k % 26)}-{k % 4}" for k in range(60)]
        parts = find_parts(words(names), "c")
        assert isinstance(parts, CodeParts)
        assert [place.at for place in parts.places] == [1]

    @pytest.mark.parametrize("texts", [["Oslo", "Rome"] * 9, [f"street{k}" for k in "abcdefgh"], ["", "-"]])
    def test_a_single_word_has_no_parts(self, texts: list[str]):
        assert find_parts(words(texts * 5), "c") is None


class TestBeginnings:
    """Some texts go on where others end."""

    def test_what_is_not_there_is_a_level_and_no_number(self):
        texts = [
            f'{{"age": {20 + k % 50}{", plan: gold, n: " + str(k % 7) if k % 3 else ""}}}' for k in range(90)
        ]
        parts = find_beginnings(words(texts), "c")
        assert isinstance(parts, CodeParts)
        assert (parts.shape, parts.least) == ("wnwwwn", 2)
        found = outputs(parts, [texts[0], texts[1], '{"age": 7, size: old, n: 2}', '{"age": 7, x}', "no"])
        nan = np.nan
        assert found["c: part 2"] == pytest.approx([20, 21, 7, 7, nan], nan_ok=True)
        assert found["c: part 4"] == pytest.approx([0, 1, 1.5, 0, nan], nan_ok=True)
        assert found["c: part 6"] == pytest.approx([nan, 1, 2, nan, nan], nan_ok=True)

    @pytest.mark.parametrize(
        "text",
        [
            lambda k: f"{k} {'Old ' if k % 2 else ''}{('Hill', 'Mill')[k % 3 > 0]} Road",  # other words
            lambda k: f"Smith, {'Ann ' if k % 2 else ''}Mary",  # no number
            lambda k: f"v{k}.1.2",  # all alike
            lambda k: f"v{k}.1.2" if k % 2 else f"beta v{k}",  # none begins as the other
            lambda k: f"v{k}.1.2" + (" a", "", " a b", " a b c")[k % 4],  # more than two ways
        ],
    )
    def test_what_is_built_in_other_ways_has_none(self, text):
        assert find_beginnings(words([text(k) for k in range(60)]), "c") is None

    def test_words_stand_behind_them(self):
        rng = np.random.default_rng(0)
        cells = [
            f"v{k % 4}.{rng.integers(15)}.{rng.integers(12)}{'-beta' if k % 3 else ''}" for k in range(200)
        ]
        data = pd.DataFrame({"version": cells, "size": rng.normal(size=200)})
        columns = TableColumns().fit(data)
        found = columns.parts_in(data)
        assert [parts.said for parts, _ in found] == ["parts", "words"]
        taken = columns.with_beside(parts=[parts for parts, _ in found])
        assert "4 columns of parts and " in taken.records[0].parsed
        again = TableColumns.from_state(taken.to_state())
        np.testing.assert_array_equal(again.transform(data).x, taken.transform(data).x)


class TestWords:
    texts = (
        "Smith, Mrs. Ann",
        "Jones, Mr. Bob Q",
        "Mayer, Mr. Carl",
        "Fox, Miss. D. E. F.",
        "Roe, Dr. Eve",
    ) * 8

    def test_words_of_many_rows(self):
        texts = [f"{text} {'x' * (k + 2)}" for k, text in enumerate(self.texts)]
        parts = find_parts(words(texts), "name")
        assert isinstance(parts, TextWords)
        assert parts.words[0] == "mr"
        assert not any(set(word) == {"x"} for word in parts.words)
        found = outputs(parts, ["MRS no one", None, "Mr"])
        assert found["name: 'mr'"] == pytest.approx([0.0, np.nan, 1.0], nan_ok=True)
        assert found["name: number of words"] == pytest.approx([3.0, np.nan, 1.0], nan_ok=True)

    def test_words_that_always_occur_together_are_one(self):
        parts = find_parts(words([f"hot dog {'a b' if k % 2 else 'c'}" for k in range(40)]), "c")
        assert isinstance(parts, TextWords)
        assert parts.words in (["a"], ["c"], ["a", "c"])
        assert "hot" not in parts.words  # in every row

    def test_up_to_24(self):
        rng = np.random.default_rng(0)
        texts = [" ".join(rng.choice([f"w{chr(97 + k)}" for k in range(26)], 1 + k % 5)) for k in range(300)]
        more = [f"{text} {chr(98 + k % 3)}" for k, text in enumerate(texts)]
        parts = find_parts(words(more), "c")
        assert isinstance(parts, TextWords)
        assert len(parts.words) == 24

    def test_rare_words_only(self):
        assert (
            find_parts(
                words([" ".join("xy"[k % 2] * (k + 1) for _ in range(1 + k % 2)) for k in range(50)]), "c"
            )
            is None
        )


def frame(n_rows: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "title": [
                f"{rng.choice(['red', 'blue'])} thing {k}{'!' * (k % 3)} {'new' * (k % 2)}"
                for k in range(n_rows)
            ],
            "sku": [f"{rng.choice(list('ABC'))}-{rng.integers(1_000_000)}" for _ in range(n_rows)],
            "hash": [f"{rng.integers(2**60):040x}" for _ in range(n_rows)],
            "town": rng.choice(["Oslo", "Rome"], n_rows),
            "size": rng.normal(size=n_rows),
        }
    )


class TestTable:
    def test_text_that_is_left_out_may_have_parts(self):
        data = frame()
        columns = TableColumns().fit(data)
        found = columns.parts_in(data)
        assert [(parts.source, parts.said) for parts, _ in found] == [("title", "words"), ("sku", "parts")]

    def test_declared_kinds_have_none(self):
        data = frame()
        for kind in ("nominal", "id", "text", "ignored"):
            columns = TableColumns({"sku": kind, "title": kind}).fit(data)
            assert columns.parts_in(data) == []

    def test_so_may_levels_that_hardly_repeat(self):
        data = frame()
        cabins = [f"{'AB'[k % 2]}{k % 60}" for k in range(200)]
        columns = TableColumns().fit(data[["size"]].assign(cabin=cabins))
        ((parts, _),) = columns.parts_in(data[["size"]].assign(cabin=cabins))
        assert parts.source == "cabin"
        often = data[["size"]].assign(cabin=[f"{'AB'[k % 2]}{k % 20}" for k in range(200)])
        assert TableColumns().fit(often).parts_in(often) == []

    def test_new_rows_must_have_the_text(self):
        data = frame()
        columns = TableColumns().fit(data)
        before = columns.transform(data).x
        assert columns.required == ("town", "size")
        taken = columns.with_beside(parts=[parts for parts, _ in columns.parts_in(data)])
        assert taken.required == ("title", "sku", "town", "size")
        assert columns.required == ("town", "size")
        after = taken.transform(data)
        assert np.array_equal(after.x[:, : before.shape[1]], before)
        assert after.names[-1] == "sku: part 2"
        assert set(taken.of_words) == {name for name in after.names if name.startswith("title: ")}
        with pytest.raises(InputError, match="title"):
            taken.transform(data.drop(columns="title"))

    def test_what_is_tried_is_what_is_served(self):
        data = frame()
        columns = TableColumns().fit(data)
        found = columns.parts_in(data)
        taken = columns.with_beside(parts=[parts for parts, _ in found])
        tried = np.column_stack([one.values for _, own in found for one in own])
        np.testing.assert_array_equal(taken.transform(data).x[:, -tried.shape[1] :], tried)

    def test_they_are_saved(self):
        data = frame()
        columns = TableColumns().fit(data)
        taken = columns.with_beside(parts=[parts for parts, _ in columns.parts_in(data)])
        again = TableColumns.from_state(taken.to_state())
        new = data[::-1].assign(title="blue 7", sku=None)
        np.testing.assert_array_equal(again.transform(new).x, taken.transform(new).x)
        (record,) = (one for one in taken.records if one.name == "sku")
        assert record.left_out == ""
        assert record.parsed.startswith("2 columns of parts; as a whole it is left out: ")

    @pytest.mark.parametrize(
        "damage",
        [
            {"source": "else"},
            {"places": []},
            {"shape": "xyz"},
            {"form": "words"},
            {"places": [{"at": 9}]},
            {"places": [{"at": 2}]},
            {"least": 3},
            {"more": 1},
        ],
    )
    def test_damaged_parts_are_refused(self, damage: dict):
        data = frame()
        columns = TableColumns().fit(data)
        state = columns.with_beside(parts=[parts for parts, _ in columns.parts_in(data)]).to_state()
        state["parts"][1] |= damage
        with pytest.raises(InputError, match="saved columns are not valid"):
            TableColumns.from_state(state)

    def test_a_note_asks_for_no_kind_that_makes_it_worse(self):
        notes = TableColumns().fit(frame().assign(id=np.arange(200))).notes
        (text,) = (note for note in notes if "'sku'" in note)
        assert text.endswith("no value occurs twice.")
        (counter,) = (note for note in notes if "'id'" in note)
        assert counter.endswith("Declare a kind to keep it.")
