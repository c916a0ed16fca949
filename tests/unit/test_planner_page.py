"""The planner page computes what Python computes, and is drawn by a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from testtime.theory.linear import best_scaled_start, icl_risk, one_step, start_transition
from testtime.theory.plan import unit_setting

PAGE = Path(__file__).parents[2] / "docs" / "_static" / "planner.html"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def drawn_settings(number=60):
    rng = np.random.default_rng(20261128)
    for _ in range(number):
        n, k, d = (round(10 ** rng.uniform(low, high)) for low, high in ((0, 2.5), (0, 3), (0.3, 2)))
        noise = float(rng.choice([0.0, rng.uniform(0, 2)]))
        alignment, spread = float(rng.uniform(-1, 1)), float(rng.choice([0.0, rng.uniform(0, 0.98)]))
        yield n, k, d, noise, alignment, spread, str(rng.choice(["fresh", "same"]))


@pytest.fixture(scope="module")
def planned():
    quickjs = pytest.importorskip("quickjs")
    script = re.search(r'<script id="formulas">(.*?)</script>', PAGE.read_text(encoding="utf-8"), re.DOTALL)
    context = quickjs.Context()
    context.eval(script[1])
    return lambda setting: json.loads(context.eval(f"JSON.stringify(planned(...{json.dumps(setting)}))"))


def test_the_formulas_are_those_of_python(planned):
    for drawn in drawn_settings():
        *numbers, context = drawn
        setting, page = unit_setting(*numbers), planned(drawn)
        for start in ("warm", "cold"):
            exact = one_step(setting, start, context)
            names = {
                "before": "risk_before",
                "slope": "slope",
                "curvature": "curvature",
                "bestRisk": "best_risk",
            }
            names |= {"bestStep": "best_step", "limitGain": "limit_gain", "halfTrain": "half_train"}
            for there, here in names.items():
                assert page[start][there] == pytest.approx(getattr(exact, here), rel=1e-9), (
                    drawn,
                    start,
                    here,
                )
        longer = icl_risk(setting.replace(n_context=numbers[0] + numbers[1]))
        assert page["longer"] == pytest.approx(longer, rel=1e-9), drawn
        scaled = best_scaled_start(setting, context)
        assert page["scaled"]["bestRisk"] == pytest.approx(scaled.risk, rel=1e-9), drawn
        assert page["scaled"]["scale"] == pytest.approx(scaled.scale, abs=1e-5), drawn
        found = start_transition(setting, context).crossings
        assert page["transitions"] == pytest.approx(found, rel=1e-9), drawn


def test_the_settings_differ_from_each_other_and_cover_both_contexts():
    drawn = list(drawn_settings())
    assert len(set(drawn)) >= 50
    assert {setting[-1] for setting in drawn} == {"fresh", "same"}


def test_the_page_needs_nothing_from_elsewhere():
    text = PAGE.read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=\"(https?:)?//", text)
    assert "import(" not in text
    assert "fetch(" not in text
    assert len(text.splitlines()) <= 400


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_draws_it(tmp_path):
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}",
        "--dump-dom",
    ]
    found = subprocess.run(
        [*command, PAGE.as_uri()], capture_output=True, text=True, timeout=300, check=True
    ).stdout
    setting = unit_setting(40, 126, 60, 0.1, 0.0, 0.8)
    for risk in (one_step(setting).best_risk, best_scaled_start(setting).risk):
        assert f"{risk:#.4g}" in found
    drawn = found.split("<script")[0]
    assert drawn.count("<svg") == 2
    assert drawn.count("<path") == 7
    assert "NaN" not in drawn
