"""Signs that an attack was blinded, not withstood, after AutoAttack's checks and Athalye et al. 2018.

Each is a function of per-example results that says what is wrong, or None.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from raylab.core.later import Tensor, torch
from raylab.core.objectives import Classifier, margin, require_eval

Floats = NDArray[np.floating]

# AutoAttack's thresholds: of normalised logits that differ, and of accuracy that Square alone takes away.
DIFFERENCE, SHARE = 1e-4, 0.002
BELOW = 0.02  # of PGD's accuracy less the ensemble's: then PGD was the wrong attack
ZERO = 0.01  # of the examples: a ReLU network may have an image where no unit is on
STAYS = 0.1  # accuracy where every image can be turned into any other


def gradient_size(
    network: Classifier,  # in eval mode
    x: Tensor,  # (B, C, H, W), in [0, 1]
    label: Tensor,  # (B,) int64
) -> Tensor:
    """(B,): the largest pixel of the margin's gradient.  Not of the cross-entropy's, which underflows to 0 where an
    honest network is sure."""
    require_eval(network)
    with torch.inference_mode(False), torch.enable_grad():
        z = x.detach().clone().requires_grad_()
        value = margin(network(z), label).sum()
        if not value.requires_grad:  # cut off, as by rounding with no gradient at all
            return x.new_zeros(len(x))
        (gradient,) = torch.autograd.grad(value, z)
    return gradient.flatten(1).abs().amax(dim=1)


def zero_gradients(
    zero: NDArray[np.bool_],  # (N,): `gradient_size` is 0, or an attack met no gradient (`Descent.blind`)
) -> str | None:
    """A gradient attack does not move from a point without a gradient."""
    share = float(zero.mean()) if len(zero) else 0.0
    if share <= ZERO:
        return None
    return f"zero gradients: the network's answer does not change with any pixel for {share:.1%} of {len(zero)} images"


def difference(
    first: Floats,  # (N, num_classes), logits
    second: Floats,  # the same images once more
) -> Floats:
    """(N,): the distance of the two, each of norm 1 (AutoAttack)."""
    one, two = (logits / (np.linalg.norm(logits, axis=1, keepdims=True) + 1e-10) for logits in (first, second))
    return np.asarray(np.linalg.norm(one - two, axis=1))


def random_output(
    between: Floats,  # (N,), of `difference`
) -> str | None:
    """Against a random network a single gradient is noise: an attack has to average."""
    largest = float(between.max())
    if largest <= DIFFERENCE:
        return None
    return f"random output: two passes over the same images differ by up to {largest:.2g} of the logits' norm"


def black_box_wins(
    gradient: Floats,  # (N,): the least margin that gradient attacks found in the ball
    black_box: Floats,  # (N,): the least that an attack found that asks for logits only
) -> str | None:
    """Who sees less must not find more: it breaks images that gradients did not, or comes nearer to breaking them.

    Images that the gradients broke count for them, however far beyond the border each attack went.
    """
    stands = gradient > 0
    broken = float((stands & (black_box <= 0)).mean())
    nearer = float((black_box < gradient)[stands].mean()) if stands.any() else 0.0
    if broken <= SHARE and nearer <= 0.5:
        return None
    return (
        f"a black-box attack found what gradients missed: it broke {broken:.1%} of {len(gradient)} images that they "
        f"did not, and came nearer to breaking {nearer:.0%} of those that withstood them"
    )


def accuracy_stays(
    eps: Sequence[float],  # (K,), increasing; the last so large that it allows every image of [0, 1]
    correct: NDArray[np.bool_],  # (K, N): the network withstood the attack of that eps
) -> str | None:
    """A larger ball contains the smaller: accuracy must not rise with eps, and must vanish where all is allowed."""
    if len(eps) < 2 or list(eps) != sorted(set(eps)) or len(correct) != len(eps):
        raise ValueError(
            f"accuracy_stays: at least 2 increasing eps, one row each, got {list(eps)}, {len(correct)} rows"
        )
    accuracy = correct.mean(axis=1)
    # The attacks of two eps are two searches: one may miss an image by chance.
    rises = np.flatnonzero(
        np.diff(accuracy) > SHARE + 2 * np.sqrt(accuracy[:-1] * (1 - accuracy[:-1]) / correct.shape[1])
    )
    if len(rises) > 0:
        at = int(rises[0])
        return (
            f"accuracy rises with eps: {accuracy[at]:.1%} at {eps[at]:g}, {accuracy[at + 1]:.1%} at {eps[at + 1]:g}; "
            "the attack gets lost in the larger ball"
        )
    if accuracy[-1] > STAYS:
        return f"accuracy does not fall with eps: {accuracy[-1]:.1%} at {eps[-1]:g}, where every image is allowed"
    return None


def ensemble_below(
    pgd: float,  # accuracies of the same images in the same ball
    ensemble: float,
) -> str | None:
    """PGD overestimates: its accuracy is not the one to quote."""
    if pgd - ensemble <= BELOW:
        return None
    return f"PGD overestimates: {pgd:.1%} of the images withstand it, {ensemble:.1%} the ensemble of attacks"
