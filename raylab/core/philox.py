"""What a CUDA generator of PyTorch draws, without CUDA: so that a published run's very draws can be had again.

PyTorch gives element i of a small tensor to thread i, which starts Philox-4x32-10 (Salmon et al. 2011) at the counter
(offset / 4, 0, i, 0) under the seed as key and takes the first of its four words.  Each call advances the offset by 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CALL = 4  # how far the offset moves with a call that fills fewer elements than the device has threads
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = 0x9E3779B9, 0xBB67AE85
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_TO_UNIT = 2.0**-32

Words = list[NDArray[np.uint64]]


def philox(counter: Words, seed: int) -> Words:
    """Four 32-bit words for each counter of four, by ten rounds."""
    a, b, c, d = counter
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        first, second = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
        a, b, c, d = (
            (second >> _HALF) ^ b ^ np.uint64(key[0]),
            second & _LOW,
            (first >> _HALF) ^ d ^ np.uint64(key[1]),
            first & _LOW,
        )
        key = [(part + step) & 0xFFFFFFFF for part, step in zip(key, _WEYL, strict=True)]
    return [a, b, c, d]


def signs(seed: int, call: int, n: int) -> NDArray[np.float32]:
    """(n,) of +-1: `2 * torch.randint(0, 2, (n,), device="cuda") - 1` as the generator's call number `call`."""
    return (2.0 * (_words(seed, call, n)[0] % np.uint64(2)).astype(np.float32) - 1.0).astype(np.float32)


def normals(seed: int, call: int, n: int) -> NDArray[np.float32]:
    """(n,) standard normal: `torch.randn(n, device="cuda")`, by the sine of Box and Muller."""
    first, second = (word.astype(np.float64) * _TO_UNIT + _TO_UNIT / 2.0 for word in _words(seed, call, n)[:2])
    return np.asarray(np.sqrt(-2.0 * np.log(first)) * np.sin(2.0 * np.pi * second), dtype=np.float32)


def _words(seed: int, call: int, n: int) -> Words:
    zero = np.zeros(n, dtype=np.uint64)
    return philox([zero + np.uint64(call * CALL // 4), zero, np.arange(n, dtype=np.uint64), zero], seed)
