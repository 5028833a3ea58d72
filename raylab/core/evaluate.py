"""What a network says about images, and what adversarial images of one network do to another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raylab.core.later import Tensor, torch
from raylab.core.objectives import Classifier, require_eval
from raylab.core.statistics import Estimate, proportion, sampled

Labels = NDArray[np.int64]  # (N,)
Mask = NDArray[np.bool_]  # (N,)
GIVEN = "_given_fooled"  # ends the names of rates among images that the attack worked on


def logits(
    network: Classifier,
    images: Tensor,  # (N, C, H, W), in [0, 1], on the network's device
    batch_rows: int,
) -> Tensor:
    """(N, num_classes), in batches of `batch_rows` counted from the first row.

    `batch_rows` is part of a result's identity: another compute batch may round differently.
    """
    require_eval(network)
    if batch_rows < 1 or len(images) == 0:
        raise ValueError(f"logits: at least 1 image and 1 row a batch, got {len(images)} and {batch_rows}")
    with torch.inference_mode():
        return torch.cat([network(batch) for batch in torch.split(images, batch_rows)])


def predictions(
    logits: NDArray[np.floating],  # (N, num_classes)
) -> Labels:
    """The class of the largest logit; of equals, the lowest.

    Raises ValueError on nan, which argmax would take for the largest.
    """
    if (num_nan := int(np.isnan(logits).any(axis=1).sum())) > 0:
        raise ValueError(f"predictions: nan in {num_nan} of {len(logits)} rows; the network diverged")
    return np.asarray(logits.argmax(axis=1), dtype=np.int64)


def is_correct(logits: NDArray[np.floating], label: Labels) -> Mask:
    """Whether the network says the label."""
    return np.asarray(predictions(logits) == label)


def is_next_class(logits: NDArray[np.floating], label: Labels) -> Mask:
    """Whether the network says (label + 1) mod num_classes.

    The mean is the next-class rate (p1 in the papers): what a student says that learned the visible content of D_det.
    """
    return np.asarray(predictions(logits) == (label + 1) % logits.shape[1])


def untargeted_transfer(
    label: Labels,
    clean_correct: Mask,  # the target network is right on the clean image
    source_prediction: Labels,  # of the source network, on the adversarial image made for it
    target_prediction: Labels,  # of the target network, on that image
    ids: Labels | None = None,  # of the images: with them the rates can be paired by image
    images: str = "",  # of `statistics.Examples`
) -> dict[str, Estimate]:
    """How often images that lead the source network away from the label mislead the target network.

    `misclassified`: it errs.  `same_class`: it makes the very error that the source makes.
    `misclassified_given_fooled`, `same_class_given_fooled`: the same among the images that it has right when
    clean and on which the source errs; nan with n = 0 where there are none.
    """
    fooled = source_prediction != label
    misclassified = target_prediction != label
    same_class = misclassified & (target_prediction == source_prediction)
    events = {"misclassified": misclassified, "same_class": same_class}
    return _rates(events, clean_correct & fooled, ids, images)


def targeted_transfer(
    label: Labels,
    attack_target: Labels,
    clean_correct: Mask,
    source_prediction: Labels,
    target_prediction: Labels,
    ids: Labels | None = None,
    images: str = "",
) -> dict[str, Estimate]:
    """How often images that lead the source network towards `attack_target` mislead the target network.

    `misclassified`: it errs.  `hits_target`: it says the attack's target.
    `misclassified_given_fooled`, `hits_target_given_fooled`: the same among the images that it has right when
    clean and on which the source says the attack's target; nan with n = 0 where there are none.
    Images whose target is their own label (kind `rand` has them) attack nothing: no rate counts them.
    """
    attacked = attack_target != label
    hits_target = target_prediction == attack_target
    rates = {"misclassified": target_prediction != label, "hits_target": hits_target}
    given = clean_correct & (source_prediction == attack_target)
    events = {name: event[attacked] for name, event in rates.items()}
    return _rates(events, given[attacked], None if ids is None else ids[attacked], images)


def _rates(events: dict[str, Mask], given: Mask, ids: Labels | None, images: str) -> dict[str, Estimate]:
    def share(event: Mask, of: Labels | None) -> Estimate:
        return proportion(int(event.sum()), event.size) if of is None else sampled(event, of, images)

    unconditional = {name: share(event, ids) for name, event in events.items()}
    known = None if ids is None else ids[given]
    return unconditional | {f"{name}{GIVEN}": share(event[given], known) for name, event in events.items()}
