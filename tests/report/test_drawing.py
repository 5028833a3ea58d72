"""What figures of several pages have in common."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from raylab.core.statistics import Estimate
from raylab.report.drawing import brief, despine, error_in_percent, seeds_phrase, show, unit


def test_bytes_are_decoded_and_pixels_are_left_as_they_are() -> None:
    assert unit(np.full((3, 2, 2), 255, np.uint8)).max() == 1.0
    assert unit(np.full((1, 2, 2), 0.25, np.float32)).max() == 0.25


def test_three_channels_are_drawn_in_colour_and_of_others_the_first() -> None:
    axes = Figure().subplots()
    colour = np.arange(12, dtype=np.float64).reshape(3, 2, 2) / 10  # some of it beyond white
    show(axes, 1.0, 2.0, 0.5, colour)
    show(axes, 0.0, 0.0, 0.5, colour[:2])
    show(axes, 0.0, 0.0, 0.5, colour[:1] - 0.5, cmap="PuOr", vmin=-0.5, vmax=0.5)
    first, grey, signed = axes.images
    np.testing.assert_allclose(first.get_array(), np.moveaxis(colour, 0, -1).clip(0, 1))
    assert first.get_extent() == [1.0, 1.5, 2.5, 2.0]
    np.testing.assert_allclose(grey.get_array(), colour[0])
    assert (grey.get_cmap().name, signed.get_cmap().name, signed.get_clim()) == ("gray", "PuOr", (-0.5, 0.5))


def test_axes_are_quiet() -> None:
    axes = Figure().subplots()
    despine(axes, "x")
    assert [side for side, spine in axes.spines.items() if spine.get_visible()] == ["left", "bottom"]
    assert axes.xaxis.get_gridlines()[0].get_visible()
    assert not axes.yaxis.get_gridlines()[0].get_visible()


def test_a_single_number_has_no_bar() -> None:
    assert error_in_percent(Estimate(0.5, float("nan"), 10, 1)) == 0.0
    assert error_in_percent(Estimate(0.5, 0.02, 10, 3)) == pytest.approx(2.0)


def test_words() -> None:
    assert (seeds_phrase((0, 1)), seeds_phrase((3,))) == (" over 2 seeds", " of one seed’s images")
    assert (brief("Ankle boot"), brief("Ankle boot", 6)) == ("Ankle boot", "Ankle…")
