"""Radial spectra and filters on waves whose spectrum is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from raylab.core import spectra

Floats = NDArray[np.float64]


def wave(cycles_y: int, cycles_x: int, size: int = 16, amplitude: float = 0.2) -> Floats:  # (1, 1, H, W)
    y, x = np.mgrid[:size, :size] / size
    return np.asarray(amplitude * np.cos(2 * np.pi * (cycles_y * y + cycles_x * x))[None, None])


def noise(*shape: int) -> Floats:
    return np.random.default_rng(0).random(shape)


@pytest.mark.parametrize(("cycles", "radius"), [((0, 3), 3), ((3, 4), 5), ((1, 1), 1), ((0, 8), 8), ((8, 8), 11)])
def test_a_wave_has_its_power_at_its_radius_alone(cycles: tuple[int, int], radius: int) -> None:
    found = spectra.power(0.5 + wave(*cycles))[0]
    assert found[0] == pytest.approx(0.25)
    assert np.flatnonzero(found > 1e-12).tolist() == [0, radius]


@pytest.mark.parametrize("shape", [(3, 2, 16, 16), (3, 1, 7, 7), (2, 3, 8, 12)])
def test_the_waves_hold_all_of_the_pixels_energy(shape: tuple[int, ...]) -> None:
    images = noise(*shape)
    frequencies = np.hypot(np.fft.fftfreq(shape[2])[:, None], np.fft.fftfreq(shape[3])) * min(shape[2:])
    counts = np.unique(np.maximum(np.rint(frequencies), frequencies > 0), return_counts=True)[1]
    np.testing.assert_allclose(spectra.power(images) @ counts, (images**2).mean(axis=(1, 2, 3)), rtol=1e-12)


def test_cross_power_is_what_two_images_share() -> None:
    one, other = noise(4, 2, 16, 16), noise(4, 2, 16, 16)[::-1].copy()
    np.testing.assert_allclose(spectra.cross_power(one, one), spectra.power(one), rtol=1e-12)
    np.testing.assert_allclose(spectra.cross_power(one, -2 * other), -2 * spectra.cross_power(other, one), rtol=1e-9)
    assert abs(spectra.cross_power(wave(0, 3), wave(3, 0))).max() < 1e-12  # one radius, different waves
    with pytest.raises(ValueError, match=r"pairs of images, \(4, 2, 16, 16\), got \(1, 1, 16, 16\)"):
        spectra.cross_power(one, wave(0, 1))


def test_bytes_and_their_pixels_have_one_spectrum() -> None:
    images = (255 * noise(2, 1, 8, 8)).astype(np.uint8)
    assert np.array_equal(spectra.power(images), spectra.power(images / 255.0))


def test_scale_multiplies_the_amplitude_of_every_radius() -> None:
    images, gain = noise(3, 2, 16, 16), np.linspace(1.5, 0.0, 12)
    np.testing.assert_allclose(
        spectra.power(spectra.scale(images, gain)), spectra.power(images) * gain**2, rtol=1e-9, atol=1e-18
    )
    np.testing.assert_allclose(spectra.scale(images, np.ones(12)), images, atol=1e-14)


@pytest.mark.parametrize("size", [16, 15])
@pytest.mark.parametrize("passed", [spectra.low_pass, spectra.high_pass])
def test_all_frequencies_are_the_image_and_more_keep_more(size: int, passed: object) -> None:
    assert callable(passed)
    images = noise(2, 3, size, size)
    np.testing.assert_allclose(passed(images, size), images, atol=1e-14)
    np.testing.assert_allclose(passed(images, size + 5), images, atol=1e-14)
    fits = range(1, size, 2) if passed is spectra.low_pass or size % 2 == 0 else range(2, size, 2)
    left = [(passed(images, bandwidth) ** 2).sum() for bandwidth in fits]
    assert left == sorted(left)
    assert left[0] < 0.9 * left[-1]


@pytest.mark.parametrize("size", [16, 15])
def test_a_filter_is_a_projection_and_leaves_what_it_took_away(size: int) -> None:
    images = noise(2, 3, size, size)
    low, high = spectra.low_pass(images, 5), spectra.high_pass(images, 5 if size % 2 == 0 else 6)
    for kept, passed, bandwidth in ((low, spectra.low_pass, 5), (high, spectra.high_pass, 5 if size % 2 == 0 else 6)):
        rest = images - kept
        np.testing.assert_allclose(passed(kept, bandwidth), kept, atol=1e-14)
        np.testing.assert_allclose(passed(rest, bandwidth), 0.0, atol=1e-14)


def test_low_and_complementary_high_along_an_axis_are_the_whole() -> None:
    """Along one axis 5 lowest and 11 highest of 16 are all; in the plane the mixed waves are in neither."""
    rows = np.repeat(noise(2, 1, 1, 16), 16, axis=2)  # constant along y: zero there is low, and no 11 highest
    low = spectra.low_pass(rows, 5)
    np.testing.assert_allclose(low, spectra.low_pass(rows, 16) - (rows - low), atol=1e-14)
    assert np.abs(spectra.high_pass(rows, 11)).max() < 1e-14
    diagonal = wave(5, 5) + wave(2, 2)
    np.testing.assert_allclose(spectra.low_pass(diagonal, 5), wave(2, 2), atol=1e-14)
    np.testing.assert_allclose(spectra.high_pass(diagonal, 11), wave(5, 5), atol=1e-14)


@pytest.mark.parametrize(("passed", "bandwidth"), [(spectra.low_pass, 4), (spectra.high_pass, 4)])
def test_half_a_pair_of_waves_is_refused(passed: object, bandwidth: int) -> None:
    assert callable(passed)
    with pytest.raises(ValueError, match=r"bandwidth: 4 of 16 frequencies cannot be symmetric around .*; take 5"):
        passed(noise(1, 1, 16, 16), bandwidth)
