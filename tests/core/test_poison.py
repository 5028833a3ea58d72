"""Patterns for a whole class, the trigger, and who gets one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from raylab.core.balls import L2Ball, LinfBall
from raylab.core.poison import POISONS, SHIFTS, checkerboard, chosen, class_noise

SHAPE = (3, 6, 5)


def test_noise_lies_on_the_border_of_the_ball_and_differs_by_class_and_seed() -> None:
    noise = class_noise(4, SHAPE, L2Ball(0.7), 0)
    assert noise.shape == (4, *SHAPE)
    assert noise.flatten(1).norm(dim=1).numpy() == pytest.approx(np.full(4, 0.7), rel=1e-5)
    assert not torch.allclose(noise[0], noise[1])
    assert not torch.allclose(noise, class_noise(4, SHAPE, L2Ball(0.7), 1))
    assert torch.equal(noise[:2], class_noise(2, SHAPE, L2Ball(0.7), 0))  # more classes change no other's


def test_linf_noise_is_uniform_in_its_ball() -> None:
    noise = class_noise(10, (3, 32, 32), LinfBall(0.1), 0)
    assert 0.0999 < float(noise.abs().max()) <= 0.1
    # The standard deviation of a uniform number in [-.1, .1]; 30,720 draws, so to some 0.5 %.
    assert float(noise.std()) == pytest.approx(0.1 / 3**0.5, rel=0.02)


def test_the_trigger_is_a_checkerboard_in_one_corner_of_the_asked_size() -> None:
    pattern = checkerboard(SHAPE, 2, L2Ball(1.2))
    assert float(pattern.norm()) == pytest.approx(1.2)
    value = 1.2 / (3 * 4) ** 0.5
    expected = torch.zeros(SHAPE)
    expected[:, 4:, 3:] = torch.tensor([[value, -value], [-value, value]])
    assert torch.allclose(pattern, expected)
    assert float(checkerboard(SHAPE, 2, LinfBall(0.3)).abs().max()) == pytest.approx(0.3)
    with pytest.raises(ValueError, match="a side of 1 to 5 pixels, got 6"):
        checkerboard(SHAPE, 6, L2Ball(1.0))


def test_a_larger_share_holds_a_smaller_one_whatever_the_order_of_the_rows() -> None:
    ids = np.arange(2000)
    few, many = (chosen(ids, share, 3, "x") for share in (0.2, 0.6))
    assert (many | ~few).all()
    # Binomial, sd .009 and .011 of a share: four of them.
    assert few.mean() == pytest.approx(0.2, abs=0.036)
    assert many.mean() == pytest.approx(0.6, abs=0.044)
    assert np.array_equal(chosen(ids[::-1], 0.2, 3, "x"), few[::-1])
    assert chosen(ids, 1.0, 3, "x").all()
    for share in (0.0, 1.1):
        with pytest.raises(ValueError, match=r"a share in \(0, 1\]"):
            chosen(ids, share, 0, "x")


def test_every_poison_is_an_attack_on_single_images_or_has_a_shift() -> None:
    assert set(POISONS) - set(SHIFTS) == {"p1", "p2"}
