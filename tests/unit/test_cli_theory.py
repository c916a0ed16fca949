"""The plan and figure commands, from arguments to exit codes."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from testtime.cli import main
from testtime.theory.linear import Setting, icl_risk, one_step, start_transition

EXAMPLE = ["plan", "--n", "40", "--k", "128", "--dim", "60", "--noise", "0.1"]


def command(arguments, capsys):
    """Run the command line; return the exit code, stdout and stderr."""
    try:
        main(arguments)
    except SystemExit as stop:
        seen = capsys.readouterr()
        return stop.code or 0, seen.out, seen.err
    seen = capsys.readouterr()
    return 0, seen.out, seen.err


def planned(arguments, capsys):
    code, out, err = command([*arguments, "--json"], capsys)
    assert (code, err) == (0, "")
    return json.loads(out)


def test_plan_answers_with_the_theory(capsys):
    told = planned(EXAMPLE, capsys)
    setting = Setting(40, 128, dim=60, task_cov=1 / 60, task=1.0, noise_var=0.1)
    warm, cold = one_step(setting, "warm"), one_step(setting, "cold")
    assert told["setting"]["n_context"] == 40
    assert told["risk_now"] == pytest.approx(icl_risk(setting), rel=1e-12)
    assert told["start"] == "cold"
    assert told["risk_after"] == pytest.approx(min(warm.best_risk, cold.best_risk), rel=1e-12)
    assert told["best_step"] == pytest.approx(cold.best_step, rel=1e-12)
    assert told["warm_risk"] == pytest.approx(warm.best_risk, rel=1e-12)
    assert told["transition"]["n_train"] == pytest.approx(start_transition(setting).n_train, rel=1e-12)
    assert told["scaled_risk"] < told["risk_after"]
    assert any("other contexts" in one["statement"] for one in told["assumptions"])


@pytest.mark.parametrize("alignment", [None, "aligned", "even", "opposed"])
def test_the_context_without_training_is_the_shortest_that_is_long_enough(alignment, capsys):
    told = planned([*EXAMPLE, *([] if alignment is None else ["--alignment", alignment])], capsys)
    length = told["context_without"]
    spectrum = np.linspace(0.2, 1.8, 60)
    squares = {"aligned": spectrum, "even": np.ones(60), "opposed": spectrum[::-1]}
    if alignment is None:
        setting = Setting(length, 0, dim=60, task_cov=1 / 60, task=1.0, noise_var=0.1)
    else:
        task = np.sqrt(squares[alignment] / 60)
        setting = Setting(length, 0, task_cov=spectrum / 60, task=task, noise_var=0.1)
    shorter = setting.replace(n_context=length - 1)
    assert icl_risk(setting) <= told["risk_after"] < icl_risk(shorter)


def test_worse_alignment_flips_earlier(capsys):
    plain = ["plan", "--n", "40", "--k", "1", "--dim", "60"]
    for words, number, flip in (("aligned", "1", 91.0), ("opposed", "-1", 55.1)):
        for given in (words, number):
            told = planned([*plain, "--alignment", given], capsys)
            assert told["transition"]["n_train"] == pytest.approx(flip, abs=0.1)
    between = planned([*plain, "--alignment", "0.3"], capsys)["transition"]["n_train"]
    assert 55.1 < between < 91.0
    narrow = planned([*plain, "--alignment", "opposed", "--spread", "0.1"], capsys)["transition"]["n_train"]
    assert narrow > 55.1


def test_same_context_never_flips_and_json_stays_strict(capsys):
    told = planned([*EXAMPLE, "--context", "same", "--step", "normalized"], capsys)
    assert told["transition"]["n_train"] == "inf"  # JSON has no infinity
    assert told["start"] == "warm"


def test_the_text_says_what_the_numbers_say(capsys):
    code, out, err = command(EXAMPLE, capsys)
    assert (code, err) == (0, "")
    told = planned(EXAMPLE, capsys)
    for name in ("risk_now", "risk_after", "best_step", "scaled_risk"):
        assert f"{told[name]:.4g}" in out
    assert f"{told['transition']['n_train']:.1f} training rows" in out
    assert f"needs {told['context_without']} context rows" in out
    assert "zero weights" in out
    assert "assumed: inputs and label noise are Gaussian" in out


@pytest.mark.parametrize("arguments", [["--k", "0"], ["--n", "0"], ["--dim", "1", "--alignment", "aligned"]])
def test_nothing_to_gain_is_an_answer_too(arguments, capsys):
    code, out, err = command([*EXAMPLE, *arguments], capsys)
    assert (code, err) == (0, "")
    assert "Risk now" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--n", "-3"], "--n -3; expected"),
        (["--k", "-1"], "--k -1; expected"),
        (
            ["--dim", "0"],
            "--dim 0; expected a whole number of at least 1 (it counts rows or dimensions). Round --dim",
        ),
        (["--noise", "-0.5"], "--noise -0.5"),
        (["--noise", "nan"], "--noise nan"),
        (["--alignment", "aligend"], "Did you mean 'aligned'?"),
        (["--alignment", "1.5"], "--alignment 1.5; expected a number from -1 to 1"),
        (["--alignment", "nan"], "--alignment nan"),
        (["--alignment", "even", "--spread", "1.5"], "Pass --spread 0.8"),
        (["--alignment", "even", "--spread", "nan"], "--spread nan"),
        (["--spread", "0.5"], "--spread without --alignment (without an alignment"),
        (["--context", "frsh"], "--context 'frsh'; expected 'fresh' or 'same'. Did you mean 'fresh'?"),
        (["--step", "fix"], "Did you mean 'fixed'?"),
        (["--n", "1", "--step", "normalized"], "--n 1, --dim 60, "),
        (["--n", "1", "--step", "normalized"], "Use --step 'fixed' or a longer context"),
        (["--plot", "plan.pdf"], "expected a name that ends in .png or .svg"),
    ],
)
def test_bad_values_are_one_sentence_and_exit_code_2(arguments, said, capsys):
    code, out, err = command([*EXAMPLE, *arguments], capsys)
    assert code == 2
    assert said in err
    assert err.startswith("testtime: ")
    assert err.count("\n") == 1
    assert out == ""


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_plot_is_written(kind, tmp_path, capsys):
    path = tmp_path / f"plan.{kind}"
    code, _, err = command([*EXAMPLE, "--plot", str(path)], capsys)
    assert (code, err) == (0, "")
    assert path.read_bytes().startswith(b"\x89PNG" if kind == "png" else b"<?xml")


def test_plot_replaces_a_file_only_when_asked(tmp_path, capsys, monkeypatch):
    path = tmp_path / "plan.svg"
    path.write_text("older")
    with monkeypatch.context() as patch:
        patch.setattr("testtime.theory.plan.plan", None)  # nothing is computed before
        code, out, err = command([*EXAMPLE, "--plot", str(path)], capsys)
    assert (code, out, path.read_text()) == (2, "", "older")
    assert "plan.svg' exists. Choose another, or --overwrite." in err
    assert command([*EXAMPLE, "--plot", str(path), "--overwrite"], capsys)[0] == 0
    assert path.read_bytes().startswith(b"<?xml")
    assert command([*EXAMPLE, "--plot", str(tmp_path / "new" / "plan.svg")], capsys)[0] == 0


def test_plan_loads_neither_torch_nor_matplotlib():
    script = (
        "import sys\nfrom testtime.cli import main\n"
        f"try:\n    main({EXAMPLE!r})\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'sklearn', 'pandas', 'matplotlib'} & sys.modules.keys()\n"
        "sys.stderr.write(' '.join(sorted(heavy)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "Risk now" in done.stdout
    assert done.stderr == ""


def test_list_names_every_figure_with_its_source(capsys):
    code, out, _ = command(["figure", "--list"], capsys)
    assert code == 0
    for name in ("context", "start", "alignment", "covariance", "steps", "reduction"):
        assert f"linear-{name}" in out
    code, out, _ = command(["figure", "--list", "--json"], capsys)
    listed = json.loads(out)["figures"]
    assert {one["name"] for one in listed} >= {"linear-context", "linear-reduction"}
    assert all(one["title"] and one["source"] for one in listed)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["figure", "linear-context"], "--out is missing"),
        (["figure", "linear-context", "--out", "x", "--seed", "-1"], "--seed -1"),
        (["figure", "linear-context", "--out", "x", "--jobs", "0"], "n_jobs=0"),
    ],
)
def test_bad_figure_options_are_one_sentence(arguments, said, capsys):
    code, _, err = command(arguments, capsys)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
