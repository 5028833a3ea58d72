"""Objectives: per-example losses with the sign of a minimisation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from raylab.core.objectives import away, cross_entropy, towards


def _identity(x: torch.Tensor) -> torch.Tensor:
    return x


def test_losses_are_log_odds_and_their_softplus_the_log_probabilities() -> None:
    logits = torch.tensor([[0.0, 0.0], [3.0, 1.0]], dtype=torch.float64)
    label = torch.tensor([0, 1])
    log_p = logits.log_softmax(1)[torch.arange(2), label]
    odds = log_p - torch.log1p(-log_p.exp())
    torch.testing.assert_close(towards(_identity, label)(logits), -odds)
    torch.testing.assert_close(away(_identity, label)(logits), odds)
    torch.testing.assert_close(cross_entropy(_identity, label)(logits), -log_p)
    torch.testing.assert_close(torch.nn.functional.softplus(towards(_identity, label)(logits)), -log_p)


@pytest.mark.parametrize(("objective", "wanted"), [(towards, True), (away, False)])
def test_a_step_down_moves_the_label_the_right_way(objective, wanted: bool) -> None:
    x = torch.zeros(3, 4, requires_grad=True)
    label = torch.tensor([0, 3, 1])
    (gradient,) = torch.autograd.grad(objective(_identity, label)(x).sum(), x)
    rises = -gradient[torch.arange(3), label] > 0
    assert (rises == wanted).all()


@pytest.mark.parametrize("objective", [towards, away, cross_entropy])
def test_training_mode_is_refused(objective) -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    with pytest.raises(ValueError, match=r"training mode.*\.eval\(\)"):
        objective(network, torch.tensor([0]))
    objective(network.eval(), torch.tensor([0]))
