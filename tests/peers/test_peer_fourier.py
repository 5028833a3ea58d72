"""The Fourier basis and its filters beside SciPy's transform, by the definition of Yin et al. 2019."""

from __future__ import annotations

import numpy as np
import peer
import pytest

from raylab.core import fourier_basis as basis
from raylab.core import spectra


@pytest.mark.parametrize("size", [(32, 32), (8, 8), (7, 9)])
def test_every_vector_is_the_inverse_transform_of_its_frequency_and_the_mirror(size: tuple[int, int]) -> None:
    fft = peer.need("scipy.fft")
    height, width = size
    for i, j in basis.half_plane(height, width).tolist():
        spectrum = np.zeros(size, dtype=complex)
        spectrum[i % height, j % width] += 0.5 + 0.5j
        spectrum[-i % height, -j % width] += 0.5 - 0.5j
        wave = fft.ifft2(spectrum, norm="ortho")
        assert np.abs(wave.imag).max() < 1e-15
        np.testing.assert_allclose(basis.vector((i, j), size), wave.real, atol=1e-15)


@pytest.mark.parametrize("bandwidth", [3, 15, 31])
def test_filters_keep_a_square_of_the_shifted_plane(bandwidth: int) -> None:
    fft = peer.need("scipy.fft")
    x = np.random.default_rng(0).random((4, 3, 32, 32))
    for keep, middle in ((spectra.low_pass, 16), (spectra.high_pass, 0)):
        mask = np.zeros((32, 32))
        places = (np.arange(-(bandwidth // 2), bandwidth // 2 + 1) + middle) % 32
        mask[np.ix_(places, places)] = 1
        plane = fft.fftshift(fft.fft2(x), axes=(-2, -1)) * mask
        expected = fft.ifft2(fft.ifftshift(plane, axes=(-2, -1))).real
        np.testing.assert_allclose(keep(x, bandwidth), expected, atol=1e-12)
