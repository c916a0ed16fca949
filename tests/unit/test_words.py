"""Numbers in README and docs are those of the stored results."""

from __future__ import annotations

import re

import pytest

from benchmarks.words import BLOCKS, pages, renewed


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_tables_are_those_of_the_stored_results(path):
    text = path.read_text(encoding="utf-8")
    assert renewed(text) == text, "run python -m benchmarks.words"


def test_every_block_is_shown_and_known():
    shown = {name for path in pages() for name in re.findall(r"<!-- numbers: ([\w-]+) -->", path.read_text())}
    assert shown == set(BLOCKS)
    assert renewed("<!-- numbers: forecast -->\nold\n<!-- end of numbers -->\n").count("old") == 0
