"""Crops and flips against a naive loop, and what their draws may depend on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from raylab.core.augment import AUGMENTATIONS, Augmentation, draw, move, padding


def one_by_one(images: Tensor, moves: Tensor) -> Tensor:
    """The oracle: each image copied into a black canvas, cut out, and mirrored."""
    _, channels, height, width = images.shape
    down, right = padding(height), padding(width)
    moved = []
    for image, (row, column, mirrored) in zip(images, moves.tolist(), strict=True):
        canvas = torch.zeros(channels, height + 2 * down, width + 2 * right, dtype=images.dtype)
        canvas[:, down : down + height, right : right + width] = image
        cut = canvas[:, row : row + height, column : column + width]
        moved.append(cut.flip(2) if mirrored else cut)
    return torch.stack(moved)


@pytest.mark.parametrize("kind", ["crop", "flip", "crop_flip"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("size", [(32, 32), (16, 24), (8, 8), (5, 9)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_batch_moves_as_its_images_do_one_by_one(
    kind: Augmentation, dtype: torch.dtype, size: tuple[int, int], layout: torch.memory_format
) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 3, *size), generator=generator).to(dtype).to(memory_format=layout)
    moves = draw(kind, np.arange(40), size, seed=1, epoch=2)
    moved = move(images, moves)
    assert moved.dtype == dtype
    assert torch.equal(moved, one_by_one(images, moves))


def test_no_augmentation_draws_no_moves() -> None:
    assert draw("none", np.arange(3), (8, 8), seed=0, epoch=0) is None


def test_an_unknown_kind_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'cutout'.*none, crop, flip, crop_flip"):
        draw("cutout", np.arange(3), (8, 8), seed=0, epoch=0)


def test_an_example_moves_alike_in_whatever_company_and_order() -> None:
    ids = np.arange(100, 200)
    moves = draw("crop_flip", ids, (32, 32), seed=3, epoch=4)
    some = np.array([71, 3, 15])
    assert torch.equal(draw("crop_flip", ids[some], (32, 32), seed=3, epoch=4), moves[some])


def test_seed_and_epoch_each_change_the_moves() -> None:
    moves = [draw("crop_flip", np.arange(50), (32, 32), seed=s, epoch=e) for s, e in ((0, 0), (1, 0), (0, 1))]
    assert not torch.equal(moves[0], moves[1])
    assert not torch.equal(moves[0], moves[2])
    assert not torch.equal(moves[1], moves[2])


def test_every_offset_and_both_directions_are_equally_likely() -> None:
    moves = draw("crop_flip", np.arange(9000), (32, 32), seed=0, epoch=0)
    for axis in (0, 1):  # 9 offsets, 1000 of each expected; 6 standard deviations of sqrt(1000 * 8/9) = 30
        counts = torch.bincount(moves[:, axis], minlength=9)
        assert len(counts) == 9
        assert (counts - 1000).abs().max() < 180
    assert abs(moves[:, 2].sum().item() - 4500) < 6 * 47
    correlation = torch.corrcoef(moves.double().T) - torch.eye(3)
    assert correlation.abs().max() < 0.064  # independent: 6 standard deviations of 1 / sqrt(9000)


def test_a_flip_alone_shifts_nothing_and_a_crop_alone_mirrors_nothing() -> None:
    images = torch.arange(2 * 16 * 16).view(1, 2, 16, 16).expand(30, -1, -1, -1)
    flipped = move(images, draw("flip", np.arange(30), (16, 16), seed=0, epoch=0))
    kinds = {torch.equal(image, images[0]): torch.equal(image, images[0].flip(2)) for image in flipped}
    assert kinds == {True: False, False: True}  # each is the image or its mirror image, and both occur
    assert (draw("crop", np.arange(30), (16, 16), seed=0, epoch=0)[:, 2] == 0).all()


def test_the_padding_is_four_pixels_of_thirty_two() -> None:
    assert [padding(size) for size in (32, 64, 8, 7)] == [4, 8, 1, 0]


def test_the_kinds_are_the_documented_four() -> None:
    assert AUGMENTATIONS == ("none", "crop", "flip", "crop_flip")
