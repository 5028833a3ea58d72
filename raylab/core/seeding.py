"""Random numbers that are a pure function of (seed, purpose, example id), by a counter-based splitmix64.

Why not a library's generator: its n-th number depends on everything drawn before, so order, batch and
shard would change a data set; torch's CPU and CUDA generators differ for one seed; and NumPy may change what
a distribution returns between releases (NEP 19).  Here example 7 gets its numbers wherever it is computed,
alone or among a million.

A `purpose` names one quantity ("targets/rand/train").  Two quantities under one purpose would share their
random words, so each gets its own.  Draws have the prefix property: `size=3` begins with what `size=1` gives.
Uniforms, integers and permutations are equal on every machine; normals pass through log and cos, whose last
bit may differ.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

# Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014), with Stafford's mix 13.
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def derive(seed: int, purpose: str) -> int:
    """A 63-bit seed for what wants a seed of its own (a torch.Generator, a child's draws)."""
    return _stream(seed, purpose) >> 1


def uniform(seed: int, purpose: str, ids: Ids, size: int = 1) -> NDArray[np.float64]:
    """(N, size) uniform in [0, 1), on the grid of 2^-53."""
    words = _words(seed, purpose, ids, size)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(seed: int, purpose: str, ids: Ids, size: int = 1) -> NDArray[np.float64]:
    """(N, size) standard normal, by Box and Muller: two columns from two uniforms."""
    u = uniform(seed, purpose, ids, size + size % 2)
    radius = np.sqrt(-2.0 * np.log1p(-u[:, 0::2]))  # 1 - u lies in (0, 1], so the logarithm is finite
    angle = 2.0 * np.pi * u[:, 1::2]
    u[:, 0::2] = radius * np.cos(angle)
    u[:, 1::2] = radius * np.sin(angle)
    return u[:, :size]


def integers(seed: int, purpose: str, ids: Ids, high: int) -> NDArray[np.int64]:
    """(N,) uniform in {0, ..., high - 1}; the modulo's bias is below high / 2^64."""
    if not 1 <= high < 2**63:
        raise ValueError(f"integers: high must lie in [1, 2^63), got {high}")
    return (_words(seed, purpose, ids, 1)[:, 0] % np.uint64(high)).astype(np.int64)


def permutation(seed: int, purpose: str, ids: Ids) -> NDArray[np.int64]:
    """(N,) positions in random order: `ids[permutation]` is the same sequence however the rows arrived.

    Rows that share an id keep their relative order.
    """
    return np.argsort(_words(seed, purpose, ids, 1)[:, 0], kind="stable")


def splitmix64(state: NDArray[np.uint64], size: int) -> NDArray[np.uint64]:
    """(N, size): the first `size` outputs of the splitmix64 generators started from `state` (N,)."""
    z = state[:, None] + _GAMMA * np.arange(1, size + 1, dtype=np.uint64)  # modulo 2^64, as all that follows
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return np.asarray(z ^ (z >> np.uint64(31)))


def _words(seed: int, purpose: str, ids: Ids, size: int) -> NDArray[np.uint64]:
    """(N, size): (seed, purpose) starts a generator; its output number `id` starts the example's own."""
    if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(f"ids: a vector of integers, got {ids.dtype} of shape {ids.shape}; pass column `id`")
    if size < 1:
        raise ValueError(f"size: at least 1, got {size}")
    state = np.uint64(_stream(seed, purpose)) + _GAMMA * ids.astype(np.uint64)
    return splitmix64(splitmix64(state, 1)[:, 0], size)


def _stream(seed: int, purpose: str) -> int:
    """64 bits of sha256, which unlike `hash` is the same in every process."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:8], "big")
