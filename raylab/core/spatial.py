"""Small translations and rotations: the worst of a grid for each example (Engstrom et al. 2019, arXiv:1712.02779)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from raylab.core.apgd import Found
from raylab.core.later import F, Tensor, torch
from raylab.core.objectives import Classifier, margin, require_eval

SHIFTS, ANGLES = 7, 11  # at most so many values a direction

Motion = tuple[float, float, float]  # pixels down, pixels to the right, degrees counter-clockwise


def moved(
    x: Tensor,  # (B, C, H, W)
    motion: Motion,
) -> Tensor:
    """The images shifted, then turned around the centre: bilinear, what comes in from outside repeats the border."""
    down, right, degrees = motion
    height, width = x.shape[2:]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # Where each pixel is taken from, in coordinates that run from -1 to 1 along each side.
    down, right = 2 * down / height, 2 * right / width
    back = [[cos, -sin * height / width, -right], [sin * width / height, cos, -down]]
    grid = F.affine_grid(x.new_tensor(back).expand(len(x), 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def shifts(
    pixels: int,  # the largest, in each direction
) -> list[Motion]:
    """Whole pixels, for half a pixel would blur: all of them up to 3, from there a grid of SHIFTS x SHIFTS."""
    along = sorted({round(pixels * (2 * i / (SHIFTS - 1) - 1)) for i in range(SHIFTS)})
    return [(float(down), float(right), 0.0) for down in along for right in along if (down, right) != (0, 0)]


def rotations(
    degrees: float,  # the largest, either way
) -> list[Motion]:
    """ANGLES of them, evenly spaced, without 0."""
    return [(0.0, 0.0, degrees * i / (ANGLES // 2)) for i in range(-(ANGLES // 2), ANGLES // 2 + 1) if i != 0]


def search(
    network: Classifier,  # in eval mode
    x: Tensor,  # (B, C, H, W), in [0, 1]
    label: Tensor,  # (B,) int64
    motions: Sequence[Motion],
) -> Found:
    """The motion of least margin."""
    require_eval(network)
    with torch.no_grad():
        image, least = x.clone(), torch.full((len(x),), torch.inf, device=x.device, dtype=x.dtype)
        for motion in motions:
            tried = moved(x, motion)
            now = margin(network(tried), label)
            lower = now < least
            image[lower], least = tried[lower], torch.minimum(now, least)
    return Found(image, least)
