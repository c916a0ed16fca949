"""Every console example of the documentation runs and prints what the page says."""

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def pages():
    return [path for path in sorted(DOCS.rglob("*.md")) if "```pycon" in path.read_text(encoding="utf-8")]


def examples(path):
    """The console blocks of a page, as one session."""
    text = path.read_text(encoding="utf-8")
    blocks = [part.split("```", 1)[0] for part in text.split("```pycon\n")[1:]]
    return doctest.DocTestParser().get_doctest("\n".join(blocks), {}, path.name, str(path), 0)


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.relative_to(DOCS).as_posix())
def test_examples_of_a_page(path):
    session, report = examples(path), []
    assert session.examples
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    failed = runner.run(session, out=report.append).failed
    assert not failed, "".join(report)


def test_the_theory_page_has_examples():
    assert len(examples(DOCS / "theory" / "linear.md").examples) > 30
