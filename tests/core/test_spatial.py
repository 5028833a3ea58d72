"""Motions of images against pixels that are moved by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from raylab.core import spatial
from raylab.core.objectives import margin


def _images() -> Tensor:
    return torch.rand(3, 2, 6, 9, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("down", "right"), [(1, 0), (0, 2), (-2, 1), (3, -3)])
def test_a_shift_moves_whole_pixels_and_repeats_the_border(down: int, right: int) -> None:
    x = _images()
    rows, columns = (torch.arange(6) - down).clamp(0, 5), (torch.arange(9) - right).clamp(0, 8)
    torch.testing.assert_close(spatial.moved(x, (down, right, 0.0)), x[:, :, rows][..., columns], rtol=0, atol=1e-5)


def test_a_quarter_turn_is_a_quarter_turn_counter_clockwise_and_there_and_back_is_nothing() -> None:
    square, x = _images()[..., :6], _images()
    torch.testing.assert_close(
        spatial.moved(square, (0.0, 0.0, 90.0)), torch.rot90(square, 1, (2, 3)), rtol=0, atol=1e-5
    )
    torch.testing.assert_close(spatial.moved(x, (0.0, 0.0, 180.0)), x.flip(2, 3), rtol=0, atol=1e-5)  # not square


def test_the_grids_have_whole_pixels_and_both_ends_and_leave_the_image_itself_out() -> None:
    assert len(spatial.shifts(1)) == 8
    assert len(spatial.shifts(3)) == 48 == len(spatial.shifts(30))
    assert {down for down, _, _ in spatial.shifts(30)} == {-30, -20, -10, 0, 10, 20, 30}
    assert sorted(degrees for _, _, degrees in spatial.rotations(10)) == [-10, -8, -6, -4, -2, 2, 4, 6, 8, 10]


def test_the_worst_motion_counts_for_each_image() -> None:
    """Logits read two pixels: the motion that brings the brightest neighbour under the second is the worst."""
    x = _images()

    def network(z: Tensor) -> Tensor:
        return torch.stack([z[:, 0, 2, 4], z[:, 1, 2, 4]], dim=1)

    label = torch.tensor([0, 1, 0])
    found = spatial.search(network, x, label, spatial.shifts(1))
    for i in range(3):
        own, other = int(label[i]), 1 - int(label[i])
        around = [(r, c) for r in (1, 2, 3) for c in (3, 4, 5) if (r, c) != (2, 4)]
        expected = min(float(x[i, own, r, c] - x[i, other, r, c]) for r, c in around)
        assert float(found.margin[i]) == pytest.approx(expected, abs=1e-5)
    torch.testing.assert_close(margin(network(found.image), label), found.margin)
