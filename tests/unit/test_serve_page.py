"""The page in a browser, and what it says when an adapter is damaged after it was shown."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import run
from tests.support.served import client, make_store, rows
from tests.support.tables import linear_table
from testtime import AdapterStore

_BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(_BROWSER is None, reason="no Chromium here")
def test_a_browser_shows_the_adapters_and_leads_to_the_reports(tiny_embedded, tmp_path):
    store = make_store(tmp_path / "store")
    page = tmp_path / "page.html"
    with client(store) as opened:
        opened.post("/v1/models/a:predict", json={"rows": rows(2)})
        page.write_text(opened.get("/").text, encoding="utf-8")
        dom = subprocess.run(
            [_BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page.as_uri()],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout
        lines = re.findall(r"<tr>.*?</tr>", dom, re.DOTALL)
        assert len(lines) == 1 + 3
        links = re.findall(r'<a href="(v1/models/[^"]+)">([^<]+)</a>', dom)
        assert [name for _, name in links] == ["a", "north/7", "number"]
        for link, _ in links:
            assert opened.get(f"/{link}").status_code == 200
    assert "<td>1</td><td>48</td><td>2</td><td>48</td>" in lines[1]  # version, rows, classes, context
    assert "<td>number</td>" in lines[3]


def test_what_is_damaged_after_it_was_shown_is_said(tiny_embedded, tmp_path):
    store = make_store(tmp_path / "store")
    with client(store) as opened:
        assert "bytes long instead" not in opened.get("/").text
        [arrays] = (Path(store.where) / "adapters" / store.current("a")[1]).glob("arrays-*")
        arrays.write_bytes(b"x")
        assert "bytes long instead" in opened.get("/").text


def test_the_rows_of_a_table_are_more_than_those_that_are_kept(tiny_embedded, tmp_path, capsys):
    frame, y = linear_table(1300, 2)
    frame.assign(y=y).to_csv(tmp_path / "table.csv", index=False)
    command = ("adapt", tmp_path / "table.csv", "--target", "y", "--out", tmp_path / "model")
    assert run(capsys, *command, "--n-steps", 0, "--held-out", 0)[0] == 0
    store = AdapterStore(tmp_path / "store")
    store.add("large", tmp_path / "model")
    with client(store) as opened:
        assert "<td>1,300</td>" in opened.get("/").text


def test_an_empty_store_and_more_adapters_than_fit_a_page(tiny_embedded, tmp_path):
    store = make_store(tmp_path / "store")
    for k in range(100):
        store.share(f"z{k:03d}", "a")
    with client(store) as opened:
        first, second = opened.get("/").text, opened.get("/?page=2").text
        assert "page 1 of 2" in first
        assert "z099" not in first
        assert "z099" in second
        for name in store.names():
            store.remove(name)
        assert "Nothing is here yet" in opened.get("/").text
