"""Rows of sums at the end of a sheet, with what people and programs write beside and below them."""

from __future__ import annotations

import pytest

from testtime.table.readers import read_table

GOODS = "".join(f"item {i % 13};{i};{i * 3}\n" for i in range(25))


def read(path, end: str, rows: str = GOODS, **options):
    path.write_text("item;price;stock\n" + rows + end, encoding="utf-8")
    return read_table(path, **options)


@pytest.mark.parametrize(
    "word",
    [
        "Gesamtergebnis",
        "Total Result",
        "Grand Total",
        "GRAND TOTAL:",
        "Totale complessivo",
        "Eindtotaal",
        "Total general",
        "Total geral",
        "Suma końcowa",
        "SUMA KOŃCOWA",
        "Razem",
        "合計",
        "総計",
        "TOTAL 2023",
        "Summe in 2024",
        "Итого",
        "Total (25)",
    ],
)
def test_sums_are_known_by_their_words(tmp_path, word):
    frame, facts = read(tmp_path / "sums.csv", f"{word};300;900\n")
    assert frame["price"].tolist() == [str(i) for i in range(25)]
    assert facts.notes == (f"the last row, {word!r}, holds sums and is left out",)


@pytest.mark.parametrize(
    ("end", "word"),
    [
        ("Total;300;900\nSource: SAP;;\n", "Total"),
        ("Total;300;900\n;;\n;;\nSource: SAP;;\nPrinted on 3 May;;\n;;\n", "Total"),
        ("Subtotal;300;900\nVAT;;\nTotal;357;900\n;;confidential\n", "Subtotal"),
    ],
)
def test_sums_are_found_above_remarks(tmp_path, end, word):
    frame, facts = read(tmp_path / "sums.csv", end)
    assert frame["price"].tolist() == [str(i) for i in range(25)]
    assert f"rows, from {word!r} on, hold sums and remarks and are left out" in facts.notes[-1]


@pytest.mark.parametrize(
    ("end", "named"),
    [
        (";300;900\n", ""),
        (";300;\n", ""),
        (";300,0;900,0\n", ""),
        ("Durchschnitt;12;36\n", ", 'Durchschnitt',"),
        ("Mean;12.0;36.0\n", ", 'Mean',"),
    ],
)
def test_sums_without_a_word_and_means_are_known_by_their_numbers(tmp_path, end, named):
    frame, facts = read(tmp_path / "sums.csv", end)
    assert len(frame) == 25
    assert facts.notes == (f"the last row{named} holds sums and is left out",)


def test_means_may_be_rounded(tmp_path):
    rows = "".join(f"{'ab'[i % 2]};{i / 7:.3f};{i}\n" for i in range(30))
    assert len(read(tmp_path / "means.csv", "Average;2.07;14.5\n", rows)[0]) == 30
    assert len(read(tmp_path / "means.csv", "Average;2.1;16\n", rows)[0]) == 31  # nor is 16 14.5


@pytest.mark.parametrize(
    "end",
    [
        ";300;901\n",  # one of two is a sum
        "nails;300;900\n",  # with a name, as every row has
        "Mean;300;900\n",  # sums, and the word says means
        "Mean;12;\n;1;2\n",
        "Total;300;900\nnails;3;4\n",  # goods follow
        "Total;300;900\n;7;\n",  # a number follows, and is no remark
        "Total;1;2\nnails;3;4\nTotal;300;900\n",  # a level
        "Total loss;300;900\n",
        "Total 12;300;900\n",
        "Source: SAP;;\n",
        "Summer;1;2\n",
    ],
)
def test_what_may_be_an_observation_stays(tmp_path, end):
    frame, facts = read(tmp_path / "goods.csv", end)
    assert len(frame) == 25 + end.count("\n")
    assert facts.notes == ()


def test_a_single_column_holds_no_remarks(tmp_path):
    (tmp_path / "words.csv").write_text(
        "word\n" + "".join(f"word {i}\n" for i in range(20)) + "total\nzebra\n"
    )
    assert len(read_table(tmp_path / "words.csv")[0]) == 22


def test_sums_are_no_part_of_a_draw(tmp_path):
    end = "Total;300;900\nSource: SAP;;\n"
    left_out = 0
    for seed in range(30):
        frame, facts = read(tmp_path / "sums.csv", end, max_rows=15, random_state=seed)
        assert not {"Total", "Source: SAP"} & set(frame["item"])
        assert len(frame) in (13, 14, 15)
        left_out += len(frame) < 15
        assert ("hold sums" in facts.explain()) == (len(frame) < 15)
    assert 0 < left_out < 30
