"""Blurs and warps against SciPy, and against the identities that they keep."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from raylab.core import blurs, warps

X = np.random.default_rng(0).random((3, 2, 16, 16))


@pytest.mark.parametrize("sigma", [0.05, 0.4, 1.0, 3.0])
@pytest.mark.parametrize(("edge", "mode"), [("edge", "nearest"), ("symmetric", "reflect"), ("reflect", "mirror")])
def test_a_gaussian_is_that_of_scipy(sigma: float, edge: blurs.Edge, mode: str) -> None:
    expected = ndimage.gaussian_filter(X, (0, 0, sigma, sigma), mode=mode, truncate=4)
    np.testing.assert_allclose(blurs.gaussian(X, sigma, edge=edge), expected, atol=1e-12)


def test_a_convolution_is_that_of_scipy() -> None:
    kernel = blurs.disk(1.5, 0.6)
    expected = ndimage.convolve(X, kernel[None, None], mode="mirror")
    np.testing.assert_allclose(blurs.convolve(X, kernel), expected, atol=1e-6)  # weights below 1e-7 are left out


@pytest.mark.parametrize(("radius", "pixels"), [(0.5, 1), (1, 5), (1.5, 9), (2, 13)])
def test_a_disk_has_weight_one_and_the_pixels_of_a_disk(radius: float, pixels: int) -> None:
    sharp = blurs.disk(radius, 1e-3)
    assert sharp.sum() == pytest.approx(1.0)
    assert (sharp > 1e-9).sum() == pixels
    soft = blurs.disk(radius, 0.6)
    assert soft.sum() == pytest.approx(1.0)
    assert (soft > 1e-9).sum() > pixels


@pytest.mark.parametrize("factor", [1.0, 1.01, 1.25, 1.75, 2.25])
def test_an_enlargement_is_that_of_scipy(factor: float) -> None:
    kept = int(np.ceil(16 / factor))
    first = (16 - kept) // 2
    image = X[0, 0]
    expected = ndimage.zoom(image[first : first + kept, first : first + kept], factor, order=1)
    trim = (len(expected) - 16) // 2
    expected = expected[trim : trim + 16, trim : trim + 16]
    np.testing.assert_allclose(blurs.zoomed(X[:1], factor)[0, 0], expected, atol=1e-12)


def test_motion_moves_along_its_line_alone() -> None:
    point = np.zeros((2, 1, 15, 15))
    point[:, 0, 7, 7] = 1.0
    across, down = blurs.motion(point, 4, 2.0, np.array([0.0, 90.0]))[:, 0]
    assert set(np.argwhere(across > 0)[:, 0]) == {7}
    assert set(np.argwhere(down > 0)[:, 1]) == {7}
    assert across[7, 7] == across.max() == pytest.approx(down[7, 7])
    weights = across[7, 7::-1]  # half a Gaussian, to one side
    np.testing.assert_allclose(weights[1] / weights[0], np.exp(-1 / 8), rtol=1e-9)
    assert across.sum() == pytest.approx(1.0, abs=1e-3)  # of it what leaves the image is lost


@pytest.mark.parametrize("blurred", [
    lambda x: blurs.gaussian(x, 1.0), lambda x: blurs.convolve(x, blurs.disk(1.5, 0.1)), lambda x: blurs.zoom(x, 1.2),
    lambda x: blurs.motion(x, 6, 2, np.full(len(x), 30.0)),
    lambda x: warps.elastic(x, 0.1, 0.05, 0.05, np.full((len(x), 3, 2), 0.3), np.full((len(x), 2, 16, 16), 0.5)),
])  # fmt: skip
def test_a_constant_image_stays_as_it_is(blurred: object) -> None:
    assert callable(blurred)
    flat = np.full((2, 3, 16, 16), 0.37)
    np.testing.assert_allclose(blurred(flat), flat, atol=1e-6)


def test_a_blur_keeps_the_mean_where_nothing_is_at_the_edge() -> None:
    inner = np.zeros((1, 1, 32, 32))
    inner[:, :, 12:20, 12:20] = np.random.default_rng(1).random((8, 8))
    for blurred in (blurs.gaussian(inner, 1.0), blurs.convolve(inner, blurs.disk(1.5, 0.1))):
        assert blurred.mean() == pytest.approx(inner.mean(), rel=1e-4)
        assert blurred.max() < inner.max()


def test_glass_copies_a_neighbour_as_the_published_code_does() -> None:
    """One round without blur, pixel by pixel from the lower right, in place: the oracle is HEN's loop."""
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, (1, 3, 8, 8)) / 255
    moves = rng.integers(-1, 1, (1, 2, 8, 8, 2))
    expected = np.moveaxis(np.floor(image[0] * 255) / 255, 0, -1).copy()
    for each in range(2):
        for row in range(8 - 1, 1, -1):
            for column in range(8 - 1, 1, -1):
                down, across = moves[0, each, row - 1, column - 1]
                one, other = expected[row, column], expected[row + down, column + across]
                expected[row, column], expected[row + down, column + across] = other, one  # views: a copy, no swap
    np.testing.assert_allclose(blurs.glass(image, 0.05, 1, moves)[0], np.moveaxis(expected, -1, 0), atol=1e-12)


def test_a_sample_is_that_of_scipy_between_and_beyond_the_pixels() -> None:
    rng = np.random.default_rng(3)
    rows, columns = rng.uniform(-5, 20, (2, 3, 16, 16))
    for beyond, mode in (("reflect", "mirror"), ("symmetric", "reflect")):
        found = warps.sample(X, rows, columns, beyond)  # type: ignore[arg-type]
        for k in range(3):
            expected = ndimage.map_coordinates(X[k, 1], [rows[k], columns[k]], order=1, mode=mode)
            np.testing.assert_allclose(found[k, 1], expected, atol=1e-12)


def test_an_elastic_transform_without_displacement_leaves_the_image() -> None:
    still: NDArray[np.float64] = np.zeros((3, 3, 2))
    np.testing.assert_allclose(warps.elastic(X, 0, 0, 0.08, still, np.zeros((3, 2, 16, 16))), X, atol=1e-10)


def test_points_moved_alike_shift_the_image() -> None:
    shift = np.broadcast_to(np.array([1.0, 0.0]), (3, 3, 2))  # one pixel across, of 16 with affine 1 / 16
    moved = warps.elastic(X, 0, 0, 1 / 16, shift, np.zeros((3, 2, 16, 16)))
    np.testing.assert_allclose(moved[..., 1:], X[..., :-1], atol=1e-9)
