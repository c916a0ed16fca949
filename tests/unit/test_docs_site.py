"""The documentation's own parts: from statement to function, links, tutorials, citation, version."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

import testtime
from testtime.theory import linear

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN = [
    page
    for page in PAGES
    if not {"_build", "tutorials"} & set(page.relative_to(ROOT).parts) and page.name != "papers.md"
]


@pytest.fixture(scope="module")
def concordance():
    spec = importlib.util.spec_from_file_location("concordance", ROOT / "docs" / "_ext" / "concordance.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["concordance"] = module  # a dataclass looks its module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("docstring", "found"),
    [
        (
            "Risk.\n\n    Reference: A and B (2025), Fig. 2c; derivation\n    in docs.",
            ("A and B (2025)", "Fig. 2c"),
        ),
        (
            "Exact. Reference: A (2025), section 4, sample size.\n\n    >>> 1",
            ("A (2025)", "section 4, sample size"),
        ),
        ("Risk.\n\n    Reference: this project.", ("this project", "")),
        ("Risk.\n\n    Reference: somebody.", None),
        ("Risk.", None),
    ],
)
def test_what_a_reference_line_says(concordance, docstring, found):
    assert concordance.reference(docstring) == found


def test_every_function_of_the_linear_theory_has_a_row(concordance):
    page = concordance.page()
    for name in linear.__all__:
        if not isinstance(getattr(linear, name), type):
            assert f"<testtime.theory.linear.{name}>" in page
    (row,) = [line for line in page.splitlines() if "`start_transition <" in line]
    assert row.startswith("| Fig. 1b |")
    assert "figures.md#linear-start" in row
    assert "test_theory_limits.py" in row


def test_a_function_without_a_reference_stops_the_build(concordance, monkeypatch):
    def silent():
        """Nothing."""

    monkeypatch.setattr(concordance, "public", lambda: iter([("somewhere.silent", silent)]))
    with pytest.raises(ValueError, match=r"somewhere\.silent has no 'Reference:' line"):
        concordance.entries()


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST name them."""
    headings = re.findall(
        r"^#{1,4} (.+)$", re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL), re.M
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'href="([^"]+)"', text):
        if re.match(r"https?://|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if path.name == "papers.md" or "tutorials" in path.parts:  # made by the build
            continue
        assert path.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(path), f"{page.name}: {target}"


def test_tutorials_have_titles_and_do_not_fetch():
    scripts = sorted((ROOT / "examples").glob("*.py"))
    assert len(scripts) >= 10
    titles = [
        (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()
        for path in scripts
    ]
    assert all(set(lines[1]) == {"="} and len(lines[1]) >= len(lines[0]) for lines in titles)
    assert len({lines[0] for lines in titles}) == len(scripts)


def test_one_version_everywhere():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {testtime.__version__}\n" in citation
    assert f"## [{testtime.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f'version = "{testtime.__version__}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_citation_is_valid():
    cffconvert = pytest.importorskip("cffconvert")
    cffconvert.Citation((ROOT / "CITATION.cff").read_text(encoding="utf-8")).validate()
