"""The 1-nearest-neighbour check: whose image does a constructed image look like?"""

from __future__ import annotations

import math

from raylab.core.later import Tensor, torch


def nearest(
    query: Tensor,  # (N, ...), in [0, 1], or uint8
    query_ids: Tensor,  # (N,) int64
    reference: Tensor,  # (M, ...), images of the same shape, on the same device
    reference_ids: Tensor,  # (M,) int64
    chunk: int = 1024,  # rows of either side that are in float64 at a time
) -> Tensor:
    """(N,) int64: position in `reference` of the L2-nearest image with another id; of equals, the lowest.

    Raises ValueError where an image has no other to be compared with.
    """
    if query.shape[1:] != reference.shape[1:]:
        sizes = f"{tuple(query.shape[1:])} and {tuple(reference.shape[1:])}"
        raise ValueError(f"nearest: images of one shape, got {sizes}")
    if len(query) != len(query_ids) or len(reference) != len(reference_ids):
        raise ValueError(
            f"nearest: one id per image, got {len(query_ids)} for {len(query)} queries and "
            f"{len(reference_ids)} for {len(reference)} references"
        )
    found = query_ids.new_full((len(query),), -1)
    for first in range(0, len(query), chunk):
        rows = slice(first, first + chunk)
        found[rows] = _nearest(query[rows], query_ids[rows], reference, reference_ids, chunk)
    if (alone := int((found < 0).sum())) > 0:
        raise ValueError(
            f"nearest: {alone} of {len(query)} images have no other image at a finite distance among the "
            f"{len(reference)} references; give more references, or look for nan"
        )
    return found


def _nearest(query: Tensor, query_ids: Tensor, reference: Tensor, reference_ids: Tensor, chunk: int) -> Tensor:
    """Ranks by ||r||^2 - 2 q.r, which is ||q - r||^2 less ||q||^2: a float64 matrix product per chunk."""
    query = _vectors(query)
    best = query.new_full((len(query),), math.inf)
    position = query_ids.new_full((len(query),), -1)
    query_norm = query.square().sum(dim=1)
    for first in range(0, len(reference), chunk):
        rows = _vectors(reference[first : first + chunk])
        row_norm = rows.square().sum(dim=1)
        score = row_norm - 2.0 * query @ rows.T
        score[query_ids[:, None] == reference_ids[first : first + chunk]] = math.inf
        # A score is exact to D 2^-52 (||q||^2 + ||r||^2), so what differs by less than twice that is a tie.
        # Without this, rounding and not the position would decide between two copies of an image.
        tie = 2.0**-51 * query.shape[1] * (query_norm + row_norm.max())
        low = score.min(dim=1).values
        lowest = (score <= (low + tie)[:, None]).int().argmax(dim=1) + first  # argmax: first of equals
        closer = low < best - tie
        best, position = torch.where(closer, low, best), torch.where(closer, lowest, position)
    return position


def _vectors(images: Tensor) -> Tensor:
    """float64 (B, D), of bytes too what float32 makes of them in [0, 1]."""
    x = images.float() / 255 if images.dtype == torch.uint8 else images
    return x.flatten(1).double()
