"""How the documentation is built: python -m sphinx -W --keep-going -b html docs docs/_build/html.

Nothing is fetched from a network, neither by the build nor by the pages: MathJax and all scripts are copied into the
build. ``-D plot_gallery=0`` shows the tutorials without running them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import testtime

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
os.environ.setdefault("OMP_NUM_THREADS", "1")

project = "testtime"
author = "The testtime developers"
copyright = "the testtime developers; Apache-2.0"
release = version = testtime.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "concordance",
]

source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "tutorials/**/README*", "tutorials/**/*.ipynb", "tutorials/**/*.py"]
templates_path = ["_templates"]
default_role = "code"  # single backticks in docstrings are names of arguments
nitpicky = False  # types in signatures name classes of libraries whose pages are not at hand

myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"  # numpydoc sections say what an argument is
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

sphinx_gallery_conf = {
    "examples_dirs": [str(HERE.parent / "examples")],
    "gallery_dirs": ["tutorials"],
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": False,
    "only_warn_on_example_error": True,
    "download_all_examples": False,
    "notebook_images": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "remove_config_comments": True,
    "reset_modules": ("matplotlib",),
    "capture_repr": (),
}
suppress_warnings = ["config.cache"]  # the gallery's settings hold functions, which cannot be compared

html_theme = "pydata_sphinx_theme"
html_title = f"testtime {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 7,
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
