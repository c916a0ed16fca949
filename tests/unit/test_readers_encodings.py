"""Files that are not UTF-8: what is read otherwise is said, and what cannot be text is refused."""

from __future__ import annotations

import codecs

import pytest

from testtime.errors import InputError
from testtime.table.readers import encoding, read_table

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")


def read(path, text: str, codec: str):
    path.write_bytes(f"a,b\n{text},1\n".encode(codec))
    return read_table(path)


@pytest.mark.parametrize(
    ("text", "written", "read_as", "example"),
    [
        ("5 € – „ja“", "cp1252", "5 € – „ja“", ""),  # signs, and no letters
        ("so naïve", "cp1252", "so naïve", "naïve"),
        ("w Łódź", "cp1250", "w £ódŸ", "£ódŸ"),
        ("Привет", "cp1251", "Ïðèâåò", "Ïðèâåò"),
    ],
)
@pytest.mark.parametrize("block", [5, 2**20])
def test_what_is_no_utf8_is_what_windows_writes(
    tmp_path, text, written, read_as, example, block, monkeypatch
):
    monkeypatch.setattr(encoding, "_BLOCK", block)
    frame, facts = read(tmp_path / "table.csv", text, written)
    assert frame["a"].tolist() == [read_as]
    assert facts.encoding == "Windows-1252"
    if block == 5:  # which can cut a word
        assert bool(facts.notes) == bool(example)
        return
    said = f"a word reads {example!r}; if that is wrong, save the file as UTF-8" if example else ""
    assert said in " ".join(facts.notes)
    assert len(facts.notes) == bool(example)


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_nothing_is_said_of_unicode(tmp_path, codec):
    frame, facts = read(tmp_path / "table.csv", "Łódź 東京", codec)
    assert (frame["a"].tolist(), facts.notes) == (["Łódź 東京"], ())


@pytest.mark.parametrize(
    ("text", "codec", "said"),
    [
        ("データ", "shift-jis", r"'\\x83f\\x81\[\\x83\^' in it is not UTF-8"),
        ("Müller", "cp850", r"'M\\x81ller' in it is not UTF-8, and 'M\\x81ller' is not Windows-1252"),
        ("źle Źle", "cp1250", r"'\\x9fle' in it is not UTF-8, and '\\x8fle' is not Windows-1252"),
    ],
)
def test_what_holds_bytes_that_are_no_letters_is_refused(tmp_path, text, codec, said):
    with pytest.raises(InputError, match=said + r".*Save the file as UTF-8\."):
        read(tmp_path / "table.csv", text, codec)


@pytest.mark.parametrize("name", ["table.jsonl", "table.json"])
@pytest.mark.parametrize("row", ['{"a": "Köln", "b": 1}', '{"größe": 1, "b": 2}'])
def test_json_is_utf8(tmp_path, name, row):
    text = f"[{row}]" if name.endswith(".json") else f"{row}\n"
    (tmp_path / name).write_text(text, "latin-1")
    with pytest.raises(InputError, match=r"'\\xf6.*is not UTF-8.*Save it as UTF-8\."):
        read_table(tmp_path / name)
    (tmp_path / name).write_text(text, "utf-8")
    assert len(read_table(tmp_path / name)[0]) == 1


def test_one_damaged_byte_in_utf8_is_shown(tmp_path):
    text = "Łódź,1\n".encode() * 50
    (tmp_path / "table.csv").write_bytes(b"a,b\n" + text + b"Gda\xf1sk \xc3\x9d,1\n" + text)
    with pytest.raises(InputError, match=r"'Gda\\xf1sk' in it is not UTF-8"):
        read_table(tmp_path / "table.csv")


@pytest.mark.parametrize("codec", ["utf-16", "utf-32"])
@pytest.mark.parametrize("block", [5, 2**20])
def test_wide_text_that_is_cut_is_refused_as_utf8_is(tmp_path, codec, block, monkeypatch):
    monkeypatch.setattr(encoding, "_BLOCK", block)
    text = 'a,b\n1,"x"\n2,"ä, y\n3,z\n'
    (tmp_path / "table.csv").write_bytes(text.encode(codec))
    with pytest.raises(InputError, match="its last quoted value is not closed"):
        read_table(tmp_path / "table.csv")
    (tmp_path / "table.csv").write_bytes("a,b\n1,2\n".encode(codec)[:-1])
    with pytest.raises(
        InputError, match=f"it begins as {codec.upper()} does, and is not.*Copy the file again"
    ):
        read_table(tmp_path / "table.csv")


@pytest.mark.parametrize("mark", [codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE])
def test_utf32_is_read_in_both_orders(tmp_path, mark):
    codec = "utf-32-le" if mark == codecs.BOM_UTF32_LE else "utf-32-be"
    (tmp_path / "table.csv").write_bytes(mark + 'a,b\n"x\ny",1\n'.encode(codec))
    frame, facts = read_table(tmp_path / "table.csv")
    assert (frame.to_numpy().tolist(), facts.encoding) == ([["x\ny", "1"]], "UTF-32")
