"""Nearest neighbours against brute force, ties and own images included."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from raylab.core.neighbours import nearest


def _images(count: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


def _brute_force(query: Tensor, query_ids: Tensor, reference: Tensor, reference_ids: Tensor) -> list[int]:
    found = []
    for image, own in zip(query.double(), query_ids, strict=True):
        squares = [float((image - other).square().sum()) for other in reference.double()]
        others = [i for i in range(len(reference)) if reference_ids[i] != own]
        found.append(min(others, key=lambda i: (squares[i], i)))
    return found


@pytest.mark.parametrize("chunk", [1, 7, 1024])
def test_it_agrees_with_brute_force(chunk: int) -> None:
    reference, query = _images(60, 3, 4, 4), _images(25, 3, 4, 4, seed=1)
    query[:10] = 0.9 * reference[5:15] + 0.1 * query[:10]  # pulled towards images whose ids they may share
    ids, query_ids = torch.arange(60) * 3, torch.arange(25) * 3 + 15
    found = nearest(query, query_ids, reference, ids, chunk)
    assert found.tolist() == _brute_force(query, query_ids, reference, ids)
    assert found.dtype == torch.int64


def test_the_own_image_is_left_out_and_the_id_decides_which_that_is() -> None:
    images = _images(20, 2, 2)
    ids = torch.arange(20)
    assert (nearest(images, ids, images, ids) != ids).all()
    assert nearest(images, ids + 100, images, ids).tolist() == ids.tolist()  # a stranger: it finds its copy


@pytest.mark.parametrize("chunk", [3, 1024])
def test_of_equally_near_images_the_lowest_position_is_taken(chunk: int) -> None:
    """Copies in all positions, in an order that rounding of the products would have to hit by chance."""
    base = _images(4, 3, 32, 32)
    reference = base[[3, 1, 0, 1, 3, 0, 2, 2, 0]]
    query = base + 0.01 * _images(4, 3, 32, 32, seed=2)
    found = nearest(query, torch.full((4,), -1), reference, torch.arange(9), chunk)
    assert found.tolist() == [2, 1, 6, 0]


def test_a_tie_is_a_tie_though_its_two_sides_round_differently() -> None:
    """The same pixels in another order lie equally far from a grey image, up to the rounding of the sums."""
    one, grey = _images(40, 3072), torch.full((40, 3072), 0.3)
    other = one[:, torch.randperm(3072, generator=torch.Generator().manual_seed(3))]
    for i in range(40):
        for pair in ([one[i], other[i]], [other[i], one[i]]):
            found = nearest(grey[i : i + 1], torch.tensor([-1]), torch.stack(pair), torch.arange(2))
            assert found.item() == 0


def test_near_images_are_told_apart_where_float32_products_would_not() -> None:
    """||x||^2 is 1000 here: float32 products are off by some 1e-4, the squared distances differ by 1e-5."""
    query = _images(20, 3, 32, 32)
    reference = query[:1] + 0.001 * (_images(30, 3, 32, 32, seed=1) - 0.5)
    query = query[:1] + 0.001 * (query - 0.5)
    ids, query_ids = torch.arange(30), torch.full((20,), -1)
    found = nearest(query, query_ids, reference, ids)
    assert found.tolist() == _brute_force(query, query_ids, reference, ids)


def test_bytes_and_floats_agree() -> None:
    images = (255 * _images(30, 3, 4, 4)).to(torch.uint8)
    ids = torch.arange(30)
    found = nearest(images, ids, images, ids)
    assert torch.equal(found, nearest(images / 255, ids, images / 255, ids))
    assert torch.equal(found, nearest(images / 255, ids, images, ids))


def test_an_image_without_another_is_an_error() -> None:
    images = _images(1, 2, 2)
    with pytest.raises(ValueError, match="1 of 1 images have no other image"):
        nearest(images, torch.tensor([5]), images, torch.tensor([5]))
    with pytest.raises(ValueError, match="look for nan"):
        nearest(images, torch.tensor([5]), images * math.nan, torch.tensor([6]))


def test_shapes_that_do_not_fit_are_an_error() -> None:
    ids = torch.arange(2)
    with pytest.raises(ValueError, match=r"one shape, got \(2, 2\) and \(4,\)"):
        nearest(_images(2, 2, 2), ids, _images(2, 4), ids)
    with pytest.raises(ValueError, match="2 for 3 queries"):
        nearest(_images(3, 4), ids, _images(2, 4), ids)
