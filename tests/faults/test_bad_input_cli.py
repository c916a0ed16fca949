"""Bad input to the commands: one sentence with the value and what to do, exit code 2, and nothing written."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

import testtime
from tests.support.commands import run
from testtime.cli import main
from testtime.store.atomic import write_folder


def tree(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(capsys, folder, *argv):
    """Run a command that must be refused; return its one line."""
    before = tree(folder)
    code, out, err = run(capsys, *argv)
    assert code == 2, (out, err)
    lines = [line for line in err.splitlines() if not line.startswith("note: ")]
    assert len(lines) == 1, err
    assert lines[0].startswith("testtime: ")
    assert "Traceback" not in err
    assert tree(folder) == before
    return lines[0]


def table(rows=60, **columns):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.normal(size=rows), "colour": rng.choice(["red", "green"], rows)})
    frame["label"] = np.where(frame["size"] > 0, "yes", "no")
    for name, values in columns.items():
        frame[name] = values
    return frame


def csv(frame):
    return frame.to_csv(index=False).encode()


def with_value(column, row, value):
    frame = table()
    frame[column] = frame[column].astype(object)
    frame.loc[row, column] = value
    return csv(frame)


FILES = {
    "missing target": (lambda: csv(table().rename(columns={"label": "Label"})), "Did you mean 'Label'"),
    "one class": (lambda: csv(table(label="yes")), "1 class, 'yes'"),
    "text for a regression": (lambda: csv(table()), "no column of numbers (it holds", "regress"),
    "one number": (lambda: csv(table(label=2.5)), "the target is 2.5 in all 60 rows; expected at least two", "regress"),
    "an infinite target": (lambda: with_value("label", 3, "inf").replace(b"yes", b"1.5").replace(b"no", b"2"),
                           "contains infinity in 1 of 60 rows", "regress"),
    "nothing but missing values": (lambda: csv(table(size=np.nan, colour="")), "none of the 2 columns"),
    "nothing but constants": (lambda: csv(table(size=1.5, colour="red")), "none of the 2 columns"),
    "no features": (lambda: csv(table()[["label"]]), "no column besides 'label'"),
    "repeated names": (lambda: csv(table()).replace(b"colour", b"size", 1), "2 columns called 'size'"),
    "no rows": (lambda: b"size,colour,label\n", "no rows"),
    "an empty file": (lambda: b"", "it is empty"),
    "prose": (lambda: b"Dear all,\nthe table, as promised, is attached, in full.\nBest\n", "cannot be read as a table"),
    "JSON": (lambda: json.dumps({"label": [1, 2]}).encode(), "it is JSON, but not a row of values per line"),
    "binary": (lambda: bytes(range(256)) * 9, "zero bytes"),
    "a workbook": (lambda: b"PK\x03\x04" + bytes(200), "its zip data is incomplete or damaged"),
    "infinity": (lambda: with_value("size", 5, "inf"), "column 'size' holds infinity"),
    "negative infinity": (lambda: with_value("size", 5, "-Infinity"), "column 'size' holds infinity"),
    "a target without values": (lambda: csv(table(label="")), "the target 'label' is missing in all 60 rows"),
    "a short row": (lambda: csv(table()).replace(b",yes\n", b"\n", 1), "Expected 3 columns, got 2"),
    "a half-written row": (lambda: csv(table()) + b'0.5,"re', "its last quoted value is not closed"),
    "a half-written quote": (lambda: csv(table()) + b'0.5,red,"ye\n', "its last quoted value is not closed"),
    "half of a gzip file": (lambda: gzip.compress(csv(table(2000)))[:-500], "gzip data is incomplete"),
    "half of a Parquet file": (lambda: b"PAR1" + bytes(500), "Copy the file again"),
    "1,200 columns": (lambda: wide(1200), "1,200 columns; expected at most 500"),
}  # fmt: skip


def wide(n_columns):
    header = ",".join(f"c{i}" for i in range(n_columns)) + ",label\n"
    rows = (",".join(str((i * j) % 7) for j in range(n_columns)) + f",{'ab'[i % 2]}\n" for i in range(12))
    return (header + "".join(rows)).encode()


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_cannot_be_adapted(case, capsys, tmp_path):
    content, said, *task = FILES[case]
    (tmp_path / "train.csv").write_bytes(content())
    line = refused(
        capsys, tmp_path, "adapt", tmp_path / "train.csv", "--target", "label", "--out", tmp_path / "model",
        "--n-steps", 1, "--n-members", 2, "--task", *(task or ["auto"]),
    )  # fmt: skip
    assert said in line


ARGUMENTS = {
    "n_context above the rows": (["--n-context", 4000], "--n-context 4,000 is more than the rows there are"),
    "n_context of zero": (["--n-context", 0], "--n-context 0"),
    "n_context of text": (["--n-context", "many"], "--n-context many; expected an integer or auto"),
    "n_steps of text": (["--n-steps", 1.5], "--n-steps 1.5; expected an integer or auto"),
    "negative n_steps": (["--n-steps", -1], "--n-steps -1"),
    "unknown task": (["--task", "regression"], "--task regression; expected one of auto, classify, regress"),
    "unknown adapter": (["--adapt", "Lora"], "--adapt Lora"),
    "no members": (["--n-members", 0], "--n-members 0"),
    "negative time": (["--time-limit", -3], "--time-limit -3"),
    "negative seed": (["--seed", -1], "--seed -1"),
    "all rows held out": (["--held-out", 1.0], "--held-out 1.0"),
    "no rows used": (["--max-rows", 0], "--max-rows 0"),
    "unknown objective": (["--objective", "speed"], "--objective speed; expected one of 'accuracy', 'short'"),
    "a column of two kinds": (
        ["--numeric", "size", "--id", "size"],
        "column 'size' is given to --numeric and to --id",
    ),
    "a kind for no column": (["--date", "sise"], "no column 'sise' to be 'date'. Did you mean 'size'?"),
    "numbers that are none": (["--numeric", "colour"], "column 'colour' holds"),
    "mistyped groups": (["--groups", "color"], "no column 'color'. Did you mean 'colour'?"),
    "groups that are the target": (
        ["--groups", "label"],
        "is also another one of --target, --groups, --time",
    ),
    "no times": (["--time", "colour"], "column 'colour' holds"),
    "mistyped target": (["--target", "lable"], "no column 'lable'. Did you mean 'label'?"),
    "missing file": ([], "no file"),
    "a folder": ([], "it is a folder"),
    "an output folder that exists": (["--out", "taken"], "exists"),
    "an output that is no model": (["--out", "taken", "--overwrite"], "is not a saved adapter"),
    "an output that is a file": (["--out", "taken/thesis.txt", "--overwrite"], "is not a saved adapter"),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments_that_cannot_be_used(case, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.csv").write_bytes(csv(table()))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("years of work")
    train = {"missing file": "trian.csv", "a folder": "taken"}.get(case, "train.csv")
    options, said = ARGUMENTS[case]
    line = refused(capsys, tmp_path, "adapt", train, "--target", "label", "--out", "model", *options)
    assert said in line


@pytest.fixture(scope="module")
def model(tmp_path_factory, tiny_throughout):
    """A saved plain model of the table above, made by the command."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "train.csv").write_bytes(csv(table(when=pd.date_range("2020-01-01", periods=60).astype(str))))
    arguments = [
        "adapt",
        "train.csv",
        "--target",
        "label",
        "--out",
        "model",
        "--n-steps",
        "0",
        "--json",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
    assert not stopped.value.code
    return folder / "model"


ROWS = {
    "a missing column": (b"size\n1\n", "no column 'colour'"),
    "a renamed column": (b"Size,colour,when\n1,red,\n", "no column 'size'; expected the 3 columns"),
    "infinity": (b"size,colour,when\ninf,red,\n", "infinity"),
    "no rows": (b"size,colour,when\n", "no rows"),
    "an empty file": (b"", "it is empty"),
    "a short row": (b"size,colour,when\n1,red,\n2,red\n", "Expected 3 columns, got 2"),
    "repeated names": (b"size,colour,when,size\n1,red,,2\n", "2 columns called 'size'"),
}


@pytest.mark.parametrize("case", ROWS)
def test_rows_that_cannot_be_predicted(case, model, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, said = ROWS[case]
    (tmp_path / "new.csv").write_bytes(content)
    assert said in refused(capsys, tmp_path, "predict", model, "new.csv", "--out", "predictions.csv")


def test_rows_that_hold_something_new_are_predicted_and_it_is_said(model, capsys, tmp_path):
    (tmp_path / "new.csv").write_text("size,colour,when\n1,purple,\n2,red,2020-02-03\n")
    code, out, err = run(
        capsys, "predict", model, tmp_path / "new.csv", "--out", tmp_path / "predictions.csv"
    )
    assert code == 0
    assert "2 rows predicted" in out
    assert "'colour'" in err
    assert len(pd.read_csv(tmp_path / "predictions.csv")) == 2


def test_columns_without_information_and_classes_of_one_row_are_said_not_refused(capsys, tmp_path):
    frame = table(same=3, empty="")
    frame.loc[7, "label"] = "perhaps"
    frame.loc[9, "label"] = ""
    (tmp_path / "train.csv").write_bytes(csv(frame))
    arguments = ("adapt", tmp_path / "train.csv", "--target", "label", "--out", tmp_path / "model")
    code, out, err = run(capsys, *arguments, "--n-steps", 0)
    assert code == 0
    assert "left out: a single value, '3'" in out
    assert "left out: nothing but missing values" in out
    assert "1 of 60 rows have no 'label' and were dropped." in out
    assert "'perhaps'" in err


def test_models_and_places_that_cannot_be_used(model, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new.csv").write_text("size,colour,when\n1,red,\n")
    (tmp_path / "held.csv").write_text("size,colour,when,label\n1,red,,maybe\n")
    (tmp_path / "unlabelled.csv").write_text("size,colour,when,label\n1,red,,\n")
    (tmp_path / "taken.csv").write_text("older predictions")
    (tmp_path / "empty").mkdir()
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for path in model.iterdir():
        (damaged / path.name).write_bytes(path.read_bytes())
    manifest = damaged / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"colour", b"coluor", 1))
    predict = ("predict", model, "new.csv", "--out")
    for argv, said in [
        ((*predict, "taken.csv"), "the output file 'taken.csv' exists"),
        ((*predict, "nowhere/out.csv"), "the folder 'nowhere' does not exist"),
        (("predict", "nothing", "new.csv", "--out", "out.csv"), "'nothing' holds no saved adapter"),
        (("predict", "empty", "new.csv", "--out", "out.csv"), "'empty' holds no saved adapter"),
        (("predict", damaged, "new.csv", "--out", "out.csv"), "is damaged"),
        (("predict", model, "newer.csv", "--out", "out.csv"), "no file 'newer.csv'. Did you mean 'new.csv'?"),
        (("report", damaged), "is damaged"),
        (("report", "empty"), "'empty' holds no saved adapter"),
        (("report", model, "--out", "taken.csv"), "the output file 'taken.csv' exists"),
        (("report", model, "--table", "new.csv"), "no column 'label'"),
        (("report", model, "--table", "held.csv"), "held-out label 'maybe'; expected one of 'no', 'yes'"),
        (("report", model, "--table", "unlabelled.csv"), "1 held-out row has no 'label'"),
        (("demo", "--out", "taken.csv"), "'taken.csv' exists"),
    ]:
        assert said in refused(capsys, tmp_path, *argv)


def test_an_option_that_is_missing_or_unknown_is_a_usage_error(capsys, tmp_path):
    (tmp_path / "train.csv").write_bytes(csv(table()))
    assert run(capsys, "adapt", tmp_path / "train.csv", "--out", tmp_path / "m")[0] == 2
    assert (
        run(capsys, "adapt", tmp_path / "train.csv", "--target", "label", "--out", "m", "--epochs", 3)[0] == 2
    )
    assert run(capsys, "adopt")[0] == 2
    assert not (tmp_path / "m").exists()


def test_a_full_disk_leaves_no_predictions(model, capsys, tmp_path, monkeypatch):
    from testtime.table import writers

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writers, "_text_stream", full)
    (tmp_path / "new.csv").write_text("size,colour,when\n1,red,\n")
    line = refused(capsys, tmp_path, "predict", model, tmp_path / "new.csv", "--out", tmp_path / "out.csv")
    assert "No space left on device" in line


def test_every_refusal_is_of_the_family():
    assert {error.__mro__[1] for error in (testtime.InputError, testtime.StoreError)} == {
        testtime.TestTimeError
    }


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("plan", "--noise", "abc"), "'--noise'"),
        (("plan", "--nois", "1"), "--nois"),
        (("adapt", "x.csv", "--seed", "1.5"), "'--seed'"),
        (("serve",), "Missing argument"),
        (("nosuch",), "No such command 'nosuch'"),
        (("store", "list"), "See: testtime store list --help"),
    ],
)
def test_words_that_no_command_has_get_one_line(words, says, tmp_path, capsys):
    assert says in refused(capsys, tmp_path, *words)


def test_help_and_version_are_no_errors(capsys):
    for words in (("--help",), ("plan", "--help"), ("--version",)):
        code, out, err = run(capsys, *words)
        assert (code, err) == (0, "")
        assert out


@pytest.mark.parametrize(
    "words",
    [
        ("--most-rows", "0"),
        ("--seconds", "-1"),
        ("--threads", "0"),
        ("--refresh", "-1"),
        ("--seconds", "nan"),
    ],
)
def test_limits_of_a_server_are_named_as_options(words, tmp_path, capsys):
    (tmp_path / "store").mkdir()
    said = refused(capsys, tmp_path, "serve", tmp_path / "store", "--no-token", *words)
    assert f"testtime: {words[0]} " in said


def test_what_stands_where_a_folder_has_to_be_is_said(tmp_path, capsys):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    said = refused(capsys, tmp_path, "figure", "linear-steps", "--quick", "--out", tmp_path / "link")
    assert "is a link to nothing; expected a folder" in said
    (tmp_path / "file").write_text("x")
    with pytest.raises(testtime.StoreError, match="A file or a broken link is where a folder has to be"):
        write_folder(tmp_path / "file" / "model", {"a": b""})


def test_an_alignment_that_is_no_number(tmp_path, capsys):
    said = refused(capsys, tmp_path, "plan", "--n", "4", "--k", "4", "--dim", "3", "--alignment", "nan")
    assert said.endswith("Pass another number.")
