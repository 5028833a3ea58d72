"""Evaluation: correctness, p1 and transfer rates, counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from raylab.core import evaluate
from raylab.core.statistics import Estimate


def test_logits_come_in_fixed_batches_without_gradients() -> None:
    sizes: list[int] = []

    def network(x: torch.Tensor) -> torch.Tensor:
        sizes.append(len(x))
        return x.flatten(1) * 2

    images = torch.rand(10, 1, 1, 3)
    result = evaluate.logits(network, images, batch_rows=4)
    assert torch.equal(result, images.flatten(1) * 2)
    assert sizes == [4, 4, 2]
    assert result.is_inference()


def test_logits_refuse_training_mode_and_empty_input() -> None:
    network = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="training mode"):
        evaluate.logits(network, torch.rand(4, 3), 2)
    with pytest.raises(ValueError, match="got 0 and 2"):
        evaluate.logits(network.eval(), torch.rand(0, 3), 2)
    with pytest.raises(ValueError, match="got 4 and 0"):
        evaluate.logits(network, torch.rand(4, 3), 0)


LOGITS = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 1.0], [0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [1.0, 1.0, 0.0]])
LABEL = np.array([0, 0, 1, 2, 2])


def test_predictions_correctness_and_the_next_class() -> None:
    assert evaluate.predictions(LOGITS).tolist() == [0, 1, 2, 2, 0]  # of equals, the lowest
    assert evaluate.is_correct(LOGITS, LABEL).tolist() == [True, False, False, True, False]
    following = evaluate.is_next_class(LOGITS, LABEL)
    assert following.tolist() == [False, True, True, False, True]  # after the last class comes the first


def test_nan_logits_are_an_error() -> None:
    broken = LOGITS.copy()
    broken[1, 2] = math.nan
    with pytest.raises(ValueError, match="nan in 1 of 5 rows"):
        evaluate.is_correct(broken, LABEL)


def _estimate(hits: int, n: int) -> Estimate:
    p = hits / n
    return Estimate(p, math.sqrt(p * (1 - p) / n), n, 1)


def test_untargeted_rates_are_counted_by_hand() -> None:
    label = np.array([0, 0, 0, 0, 0, 0, 0, 0])
    clean_correct = np.array([1, 1, 1, 1, 1, 0, 0, 1], dtype=bool)
    source = np.array([1, 1, 1, 0, 0, 1, 1, 2])  # it stands its ground on rows 3 and 4
    target = np.array([1, 2, 0, 1, 0, 1, 2, 2])
    rates = evaluate.untargeted_transfer(label, clean_correct, source, target)
    assert rates == {
        "misclassified": _estimate(6, 8),  # all but rows 2 and 4
        "same_class": _estimate(3, 8),  # rows 0, 5, 7; row 4 agrees, but on the truth
        "misclassified_given_fooled": _estimate(3, 4),  # rows 0, 1, 7 of 0, 1, 2, 7
        "same_class_given_fooled": _estimate(2, 4),  # rows 0 and 7
    }


def test_targeted_rates_are_counted_by_hand() -> None:
    label = np.array([0, 0, 0, 0, 0, 0, 0])
    attack_target = np.array([1, 1, 1, 1, 2, 2, 0])  # row 6 is no attack
    clean_correct = np.array([1, 1, 1, 0, 1, 1, 1], dtype=bool)
    source = np.array([1, 1, 2, 1, 2, 2, 0])  # it is wrong, but not as asked, on row 2
    target = np.array([1, 2, 1, 1, 0, 2, 0])
    rates = evaluate.targeted_transfer(label, attack_target, clean_correct, source, target)
    assert rates == {
        "misclassified": _estimate(5, 6),  # all but row 4
        "hits_target": _estimate(4, 6),  # rows 0, 2, 3, 5
        "misclassified_given_fooled": _estimate(3, 4),  # rows 0, 1, 5 of 0, 1, 4, 5
        "hits_target_given_fooled": _estimate(2, 4),  # rows 0 and 5
    }


def test_a_condition_that_nothing_meets_gives_nan_with_n_0() -> None:
    label = np.array([0, 1])
    never = np.array([False, False])
    both = (
        evaluate.untargeted_transfer(label, never, label + 1, label + 1),
        evaluate.targeted_transfer(label, label + 1, never, label + 1, label + 1),
    )
    for rates in both:
        given = [rate for name, rate in rates.items() if name.endswith("_given_fooled")]
        assert len(given) == 2
        assert all(math.isnan(rate.mean) and math.isnan(rate.se) and rate.n == 0 for rate in given)
        assert rates["misclassified"].mean == 1.0
