"""The schedules as pure functions, against torch's stateful ones."""

from __future__ import annotations

import pytest
import torch
from torch.optim import lr_scheduler

from raylab.core.schedules import factor


def torchs(scheduler: type[lr_scheduler.LRScheduler], total: int, **arguments: object) -> list[float]:
    """The learning rates of `total` steps from a base of 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = scheduler(optimizer, **arguments)
    rates = []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("total", [3, 4, 10, 23, 276])
def test_one_cycle_is_torchs(total: int) -> None:
    expected = torchs(lr_scheduler.OneCycleLR, total - 1, max_lr=1.0, total_steps=total)
    ours = [factor("one_cycle", step, total) for step in range(total)]
    assert ours[:-1] == pytest.approx(expected, rel=1e-12)
    assert ours[-1] == pytest.approx(1 / 25 / 1e4)  # torch warns when its last step is taken


def test_one_cycle_of_one_or_two_steps_is_finite() -> None:
    assert 0 < factor("one_cycle", 0, 1) <= 1
    assert all(0 < factor("one_cycle", step, 2) <= 1 for step in (0, 1))


def test_cosine_is_torchs() -> None:
    expected = torchs(lr_scheduler.CosineAnnealingLR, 50, T_max=50)
    assert [factor("cosine", step, 50) for step in range(50)] == pytest.approx(expected, rel=1e-9)


def test_step_is_torchs() -> None:
    expected = torchs(lr_scheduler.MultiStepLR, 150, milestones=[50, 100], gamma=0.1)
    ours = [factor("step", step, 150, milestones=(50, 100), gamma=0.1) for step in range(150)]
    assert ours == pytest.approx(expected, rel=1e-12)


def test_constant_is_one() -> None:
    assert {factor("constant", step, 7) for step in range(7)} == {1.0}


def test_step_without_milestones_is_refused() -> None:
    with pytest.raises(ValueError, match="milestones"):
        factor("step", 0, 10)


def test_an_unknown_schedule_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'linear'.*one_cycle"):
        factor("linear", 0, 10)
