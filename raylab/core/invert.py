"""Feature inversion: the images of D_R and D_NR (Ilyas et al. 2019, section 3.1, figure 5 and appendix C.4)."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from raylab.core import seeding
from raylab.core.balls import Free
from raylab.core.later import Tensor, last_relu, torch
from raylab.core.objectives import SMALLEST_FEATURES, Featured, feature_distance, require_eval
from raylab.core.pgd import descend

StepSchedule = Literal["constant", "linear"]
STEP_SCHEDULES: tuple[StepSchedule, ...] = get_args(StepSchedule)
Iterate = Literal["best", "last"]
LAST_SHARE = 0.1  # of the step size, that a linear schedule ends at

# The seed image of MadryLab/robustness: clamp(N(0, 1) / 20 + 1/2, 0, 1).
NOISE_SCALE = 1 / 20

# A relative residual that says: not inverted.  An independent image has about 1, a converged inversion .05.
UNCONVERGED = 0.2


class Rebuilt(NamedTuple):
    """The iterate that was kept, and how near its features are: ||g(z) - g(x)|| / ||g(x)||."""

    image: Tensor  # (B, C, H, W), in [0, 1], detached
    residual: Tensor  # (B,)


def invert(
    network: Featured,  # in eval mode with frozen parameters
    x: Tensor,  # (B, C, H, W), in [0, 1]: its features are to be matched
    start: Tensor,  # (B, C, H, W), in [0, 1]
    step_size: float,  # pixel units
    steps: int,
    schedule: StepSchedule = "constant",
    identity_relu: bool = True,
    iterate: Iterate = "best",
    *,
    through: Featured | None = None,  # what gradients are taken of: the network compiled; None: the network
) -> Rebuilt:
    """argmin_z ||g(z) - g(x)||_2 by normalised gradient steps from `start`, clipped to [0, 1]; no ball.

    g are the penultimate features.  The published protocol is 1000 constant steps of 0.1 for CIFAR-10, 2000 of 1 for
    Restricted ImageNet, 10,000 from noise.  `identity_relu`: the gradient passes the last ReLU unchanged, as in
    MadryLab/robustness; the residual is that of the true features either way.  `iterate`: the one of nearest features,
    or the last, as the authors' code for their data sets keeps it (`use_best=False`); the paper does not say.
    The residual is the network's own, whatever the gradients pass `through`.

    Raises ValueError where the starts do not fit, or for an unknown iterate.
    """
    require_eval(network)
    if iterate not in get_args(Iterate):
        raise ValueError(f"invert: iterate: one of {', '.join(get_args(Iterate))}, got {iterate!r}")
    if start.shape != x.shape:
        raise ValueError(f"invert: a start for every image, {tuple(x.shape)}, got {tuple(start.shape)}")
    used = network if through is None else through
    with torch.no_grad():
        reference = used.features(x)
    features = last_relu.let_through(used, x) if identity_relu else used.features
    objective = feature_distance(features, reference)
    found = descend(objective, start, Free(), step_sizes(schedule, step_size, steps), steps)
    image, loss = (found.best, found.best_loss) if iterate == "best" else (found.last, found.last_loss)
    if used is not network:
        with torch.no_grad():
            reference = network.features(x)
            loss = feature_distance(network.features, reference)(image)
    return Rebuilt(image, loss / reference.norm(dim=1).clamp(min=SMALLEST_FEATURES))


def step_sizes(schedule: StepSchedule, step_size: float, steps: int) -> list[float]:
    """One for each step: all equal, or falling linearly to a tenth."""
    match schedule:
        case "constant":
            return [step_size] * steps
        case "linear":
            return [step_size * (1.0 - (1.0 - LAST_SHARE) * i / max(steps - 1, 1)) for i in range(steps)]
    raise ValueError(f"invert: unknown schedule, got {schedule!r}; choose one of {', '.join(STEP_SCHEDULES)}")


def start_rows(
    ids: NDArray[np.int64],  # (N,)
    num_images: int,
    seed: int,
    split: str,
) -> NDArray[np.int64]:
    """(N,) rows of the training set in the order of its ids: an independent image to start each inversion from.

    Independent of the label too: a class that is always another one would say what the label is not.
    """
    return seeding.integers(seed, f"invert/image/{split}", ids, num_images)


def start_noise(
    ids: NDArray[np.int64],  # (N,)
    shape: tuple[int, int, int],  # channels, height, width
    seed: int,
    split: str,
) -> NDArray[np.float32]:
    """(N, C, H, W): clamp(N(0, 1) / 20 + 1/2, 0, 1)."""
    normal = seeding.normal(seed, f"invert/noise/{split}", ids, int(np.prod(shape)))
    return np.clip(normal * NOISE_SCALE + 0.5, 0.0, 1.0).astype(np.float32).reshape(-1, *shape)


def doubts(
    residual: NDArray[np.floating],  # (N,), of `Rebuilt`
    num_features: int,
    num_pixels: int,
) -> list[str]:
    """What speaks against a set made by inversion: it has not converged, or it can only copy its images."""
    found = []
    median, far = float(np.median(residual)), float((residual > UNCONVERGED).mean())
    if median > UNCONVERGED:
        found.append(
            f"inversion has not converged: median relative residual {median:.2f}, above {UNCONVERGED} for {far:.0%} "
            "of the images; take more steps, or the set understates what the features hold"
        )
    if num_features >= num_pixels:
        found.append(
            f"the representation is as wide as the image ({num_features} features, {num_pixels} pixels): inversion "
            "returns the image itself, and the set copies its source; take a narrower penultimate layer"
        )
    return found
