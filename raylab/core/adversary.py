"""The adversary of adversarial training, and how to tell that a training collapsed under it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from raylab.core.balls import Ball
from raylab.core.fit import Adversary, Epoch
from raylab.core.later import Tensor, networks
from raylab.core.objectives import away
from raylab.core.pgd import descend
from raylab.core.schedules import ramped

# Ilyas et al. 2019, appendix C.3: 7 steps of eps / 5, from the clean image.
STEPS, STEP_SHARE = 7, 1 / 5
# The share of the training over which eps grows.  Digits, eps 1.25, a 16-wide penultimate layer, 12 epochs, 5 seeds:
# none collapses with it (accuracy under attack 22.5 to 24.4 % of the training images), all without (10.2 to 10.4 %).
RAMP = 0.6
# From a constant answer (0) to perfection (1): what a training must reach.  The collapsed and the healthy runs measured
# above, and those without a ramp at smaller eps, lie at .00 and at or above .13.
LEARNED = 0.05


def pgd(ball: Ball, steps: int = STEPS, step_share: float = STEP_SHARE, ramp: float = RAMP) -> Adversary:
    """Untargeted PGD that `fit` trains against: from the clean image, `steps` steps of `step_share * eps`.

    eps grows linearly from 0 to the ball's over the first `ramp` of the training, and the steps with it; ramp 0 is
    the published recipe, at full strength from the first step.  The iterate of highest loss is what is trained on
    (MadryLab/robustness: `use_best`).  It holds no state, so a training resumes to the same bits.
    """
    if steps < 1 or not (math.isfinite(step_share) and step_share > 0.0):
        raise ValueError(f"adversary: at least 1 step of a finite share > 0 of eps, got {steps} of {step_share}")
    if not 0.0 <= ramp <= 1.0:
        raise ValueError(f"adversary: ramp is a share of the training in [0, 1], got {ramp}; 0 switches it off")

    def attack(network: networks.Network, x: Tensor, y: Tensor, progress: float) -> Tensor:
        strength = ramped(progress, ramp)
        if strength == 0.0:
            return x
        now = replace(ball, eps=strength * ball.eps)
        return descend(away(network, y), x, now, step_share * now.eps, steps).best

    return attack


def collapse(
    records: Sequence[Epoch],  # of `fit`: accuracy on the training images, under attack
    majority: float,  # the share of the commonest label: what a constant answer scores
    clean: Callable[
        [], float
    ],  # accuracy on the training images as they are; asked only where the attack leaves nothing
    ramp: float = RAMP,  # of this training
) -> str | None:
    """Why this adversarial training failed, or None.  It collapsed where it ended at the accuracy of a constant answer
    with the attack and without; where it tells images apart without, it failed if a constant one is more robust.

    The last epoch decides, where the ramp is over: an accuracy reached at a smaller eps is none.
    """
    if not records or not 0.0 < majority < 1.0:
        raise ValueError(f"collapse: at least 1 epoch and a share in (0, 1), got {len(records)} and {majority}")
    last, bar = records[-1], majority + LEARNED * (1.0 - majority)
    if last.accuracy > bar:
        return None
    unharmed = clean()
    if unharmed > bar and last.accuracy > majority:
        return None
    what = "reached no robust accuracy" if unharmed > bar else "collapsed"
    grows = f"eps grew over {ramp:.0%} of the training already: lower it, or train longer"
    return (
        f"adversarial training {what}: epoch {last.epoch} ended at {last.accuracy:.1%} under attack and at "
        f"{unharmed:.1%} without, where a constant answer scores {majority:.1%}; "
        f"{grows if ramp > 0.0 else 'let eps grow (ramp), or lower it'}"
    )
