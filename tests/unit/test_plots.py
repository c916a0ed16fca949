"""The drawing helpers: no global state, the same bytes twice, colours that can be told apart."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest

from testtime.report import plots


def small_drawing():
    with plots.house_style():
        figure, (left, right) = plots.new_figure(2)
        plots.draw_exact(left, [1, 2, 3], [3, 2, 1], colour=plots.PALETTE[0])
        plots.draw_limit(left, [1, 2, 3], [3, 1, 0.5], colour=plots.PALETTE[0])
        plots.draw_measured(right, [1, 2], [1.0, 2.0], [0.1, 0.2], colour=plots.PALETTE[1])
        plots.level(right, 1.5)
        plots.mark(left, 2.0, "here")
        plots.log_axis(left, "x", [1, 2])
        plots.name_axes(left, x="x", y="y", title="title")
        plots.parameter_legend(left, "k", ["1"], plots.colours(1), loc="upper right")
        plots.explain(figure, [("exact", "theory"), ("measured", "simulation")])
        return figure_texts(figure), plots.figure_bytes(figure, "a title")


def figure_texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_the_same_drawing_has_the_same_bytes_and_both_kinds():
    texts, first = small_drawing()
    assert texts == ["theory", "simulation"]
    assert first == small_drawing()[1]
    assert first["png"].startswith(b"\x89PNG")
    assert b"<svg" in first["svg"]
    assert b"a title" in first["svg"]


def test_settings_are_restored_and_pyplot_is_not_loaded():
    before = dict(mpl.rcParams)
    small_drawing()
    assert dict(mpl.rcParams) == before
    script = (
        "import sys, testtime.report.plots\nassert not {'matplotlib.pyplot', 'torch'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def luminance(colour):
    red, green, blue = mpl.colors.to_rgb(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_ordered_colours_go_from_dark_to_light_and_stay_visible(count):
    levels = [luminance(colour) for colour in plots.ordered_colours(count)]
    assert len(levels) == count
    assert np.all(np.diff(levels) > 0.02)
    assert max(levels) < 0.8


def test_palette_is_told_apart_and_repeats():
    assert len(set(plots.PALETTE)) == len(plots.PALETTE) == 7
    assert plots.colours(9)[7:] == plots.PALETTE[:2]


def test_kinds_of_lines_are_told_apart_without_colour():
    with plots.house_style():
        figure, (axes,) = plots.new_figure()
        plots.draw_exact(axes, [0, 1], [0, 1], colour="black")
        plots.draw_limit(axes, [0, 1], [1, 0], colour="black")
        plots.draw_reference(axes, [0, 1], [1, 1])
    styles = {line.get_linestyle() for line in axes.lines}
    assert styles == {"-", "--", ":"}
    assert figure.axes == [axes]
