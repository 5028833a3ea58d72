"""The Fourier basis against the transform itself, and noise of a band."""

from __future__ import annotations

import numpy as np
import pytest

from raylab.core import fourier_basis as basis

SIZES = [(16, 16), (8, 8), (7, 7), (8, 12), (9, 4)]


@pytest.mark.parametrize("size", SIZES)
def test_every_vector_is_real_of_norm_one_and_has_one_frequency_and_its_mirror(size: tuple[int, int]) -> None:
    for i, j in basis.half_plane(*size).tolist():
        wave = basis.vector((i, j), size)
        assert np.linalg.norm(wave) == pytest.approx(1.0, abs=1e-12)
        found = {tuple(place) for place in np.argwhere(np.abs(np.fft.fft2(wave)) > 1e-9).tolist()}
        assert found == {(i % size[0], j % size[1]), (-i % size[0], -j % size[1])}


def test_a_vector_is_the_published_one() -> None:
    """1/2 + i/2 at the frequency, its conjugate at the mirror, an inverse transform, times the root of the pixels."""
    spectrum = np.zeros((8, 8), dtype=complex)
    spectrum[2, 3], spectrum[-2, -3] = 0.5 + 0.5j, 0.5 - 0.5j
    np.testing.assert_allclose(basis.vector((2, 3), (8, 8)), (np.fft.ifft2(spectrum) * 8).real, atol=1e-15)


@pytest.mark.parametrize("size", SIZES)
def test_half_of_the_plane_and_its_mirror_are_the_plane_and_orthogonal(size: tuple[int, int]) -> None:
    half = basis.half_plane(*size)
    assert basis.multiplicity(half, size).sum() == size[0] * size[1]
    numbers = np.arange(len(half), dtype=float)
    plane = basis.whole_plane(half, numbers, size)
    assert not np.isnan(plane).any()
    flat = np.stack([basis.vector((i, j), size).ravel() for i, j in half.tolist()])
    np.testing.assert_allclose(flat @ flat.T, np.eye(len(half)), atol=1e-12)


def test_a_value_lies_at_its_frequency_and_at_the_mirror_around_the_middle() -> None:
    half = basis.half_plane(8, 8)
    plane = basis.whole_plane(half, basis.radius(half, (8, 8)), (8, 8))
    assert plane[4, 4] == 0
    assert plane[4, 5] == plane[4, 3] == 0.25
    assert plane[2, 5] == plane[6, 3] == pytest.approx(np.hypot(2, 1) / 4)
    assert plane[0, 0] == pytest.approx(np.sqrt(2))


def test_signs_are_fair_by_channel_and_belong_to_the_example() -> None:
    ids = np.arange(4000)
    drawn = basis.signs((1, 2), ids, 3, seed=5)
    assert set(np.unique(drawn)) == {-1.0, 1.0}
    assert np.abs(drawn.mean(axis=0)).max() < 5 / np.sqrt(4000)
    correlation = np.corrcoef(drawn.T) - np.eye(3)
    assert np.abs(correlation).max() < 5 / np.sqrt(4000)
    assert np.array_equal(basis.signs((1, 2), ids[[77, 3]], 3, seed=5), drawn[[77, 3]])
    assert not np.array_equal(basis.signs((2, 1), ids, 3, seed=5), drawn)


@pytest.mark.parametrize(("passes", "bandwidth", "kept"), [("low", 3, 9), ("high", 5, 25), ("low", 16, 256)])
def test_noise_has_its_norm_in_every_channel_and_nothing_beyond_its_band(
    passes: basis.Passes, bandwidth: int, kept: int
) -> None:
    made = basis.noise(passes, bandwidth, 2.5, (3, 16, 16), np.arange(20), seed=1)
    np.testing.assert_allclose(np.sqrt((made**2).sum(axis=(2, 3))), 2.5, rtol=1e-12)
    waves = np.abs(np.fft.fft2(made)) > 1e-9
    assert waves.any(axis=(0, 1)).sum() == kept
    assert waves[0, 0, 0, 0] == (passes == "low")
    assert np.array_equal(basis.noise(passes, bandwidth, 2.5, (3, 16, 16), np.arange(20)[[7]], seed=1), made[[7]])


def test_a_band_without_its_mirror_is_refused() -> None:
    with pytest.raises(ValueError, match="bandwidth: 4 of 16"):
        basis.noise("low", 4, 1.0, (1, 16, 16), np.arange(2), seed=0)
