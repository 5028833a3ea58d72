"""Trainings as published, and in what one of ours differs from them, in words: "" where it does not.

Where a publication is silent about its training, it is held against the standard recipe of MadryLab/robustness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from raylab.scoreboard.protocol import norm_label
from raylab.stages.recipe import Adversary, Recipe, with_epochs

# Ilyas et al. 2019, appendix C.2 and C.3 and table 3. Their adversary has its whole radius from the first epoch on.
STANDARD = Recipe(preset="ilyas2019_standard")
RAND, DET = Recipe(preset="ilyas2019_rand"), Recipe(preset="ilyas2019_det")
ADVERSARIAL = Recipe(preset="ilyas2019_adversarial", adversary=Adversary(eps=0.5, ramp=0.0))
LINF = Recipe(preset="robustness_linf", adversary=Adversary(norm="linf", eps=8 / 255, ramp=0.0))
# On Restricted ImageNet; the same table.
_CONSTANT: dict[str, Any] = {"schedule": "constant", "milestones": ()}
IMAGENET_RAND = RAND.model_copy(update={**_CONSTANT, "batch_size": 256, "augment": "none"})
IMAGENET_DET = IMAGENET_RAND.model_copy(update={"lr": 0.05})
IMAGENET_R = STANDARD.model_copy(update={**_CONSTANT, "lr": 0.01})
IMAGENET_ADVERSARIAL = ADVERSARIAL.model_copy(update={"adversary": Adversary(eps=3.0, ramp=0.0)})
# Wallace, Distill 2019: epochs alone are stated.
TEACHER = Recipe(
    epochs=2, batch_size=128, optimizer="sgd", lr=0.1, weight_decay=5e-4, schedule="constant", augment="crop_flip"
)
TEACHER_TO_ACCURACY = TEACHER.model_copy(update={"stop_at_accuracy": 0.625})  # in as many epochs as that takes
STUDENT = with_epochs(STANDARD, 50)
# Of MNIST and Fashion-MNIST he states nothing: ours at his size.
ACROSS_TEACHER, ACROSS_STUDENT = Recipe(preset="small", epochs=4), Recipe(preset="small", epochs=6)
# Tao et al. 2021 (TLMichael/Delusive-Adversary).
DELUSIVE = STANDARD.model_copy(update={"milestones": (100, 125)})
DELUSIVE_DEFENCE = ADVERSARIAL.model_copy(update={"milestones": (100, 125)})
# Kumano et al., ICLR 2024: divided by 10 where the training loss has not fallen for ten epochs, which none of ours is.
KUMANO = Recipe(
    epochs=100, batch_size=128, optimizer="sgd", lr=0.1, nesterov=True, weight_decay=5e-4, schedule="step",
    milestones=(50, 75),
)  # fmt: skip
KUMANO_STUDENT = KUMANO.model_copy(update={"lr": 0.01})
# Jordan (cifar10-zoo, adversarial/train.py): the rate rises for a fifth of the training and falls in a straight line.
JORDAN = Recipe(
    epochs=200, batch_size=500, optimizer="sgd", lr=0.2, nesterov=True, weight_decay=5e-4, schedule="one_cycle",
    augment="crop_flip",
)  # fmt: skip
TRIANGLE = "a schedule of ours for a triangle"
# Of row 46; its batches are not stated. AdamW without weight decay is Adam.
DIGITS = Recipe(epochs=40, lr=1e-3, schedule="constant")

MANY = 3  # differences of a recipe that are told one by one
_WORDS: Mapping[str, Callable[[Any], str]] = {
    "epochs": lambda n: f"{n} epochs" if n != 1 else "1 epoch",
    "batch_size": lambda n: f"batches of {n}",
    "optimizer": str,
    "lr": lambda lr: f"learning rate {lr:g}",
    "nesterov": lambda on: "Nesterov momentum" if on else "no Nesterov momentum",
    "weight_decay": lambda share: f"weight decay {share:g}",
    "schedule": lambda name: f"{name} schedule",
    "milestones": lambda epochs: f"rate dropped after epochs {', '.join(map(str, epochs)) or 'none'}",
    "augment": lambda name: f"augmentation {name}",
    "adversary": lambda one: "no adversary" if one is None else _adversary(one),
    "stop_at_accuracy": lambda share: "not stopped early" if share is None else f"stopped at {100 * share:g} %",
}


def of_recipe(recipe: Recipe, published: Recipe, unstated: tuple[str, ...] = ()) -> str:
    """Every field that has another value; `unstated` ones are free, and those that do nothing in either.

    Of many not all are told: of another recipe the length and the adversary.
    """
    skipped = {"preset", *unstated}
    if {recipe.optimizer, published.optimizer} != {"sgd"}:
        skipped |= {"momentum", "nesterov"}
    if recipe.schedule != published.schedule:
        skipped.add("milestones")
    if not recipe.milestones or not published.milestones:
        skipped.add("gamma")
    changed = [name for name in Recipe.model_fields if name not in skipped and not _same(recipe, published, name)]
    told = changed if len(changed) <= MANY else [name for name in changed if name in ("epochs", "adversary")]
    rest = ["another recipe"] if len(told) < len(changed) else []
    return ", ".join([*(_told(name, getattr(recipe, name)) for name in told), *rest])


def of_recipes(*trained: tuple[str, Recipe, Recipe]) -> str:
    """Of whose training, ours, and as published; networks that differ alike are named together."""
    found: dict[str, list[str]] = {}
    for who, recipe, published in trained:
        if differs := of_recipe(recipe, published):
            found.setdefault(differs, []).append(who)
    return "; ".join(f"{', '.join(dict.fromkeys(names))}: {differs}" for differs, names in found.items())


def at_rate(recipe: Recipe, rates: Mapping[str, float], network: str) -> Recipe:
    """As a network is trained that has a learning rate of its own."""
    return recipe.model_copy(update={"lr": rates.get(network, recipe.lr)})


def _same(recipe: Recipe, published: Recipe, name: str) -> bool:
    return bool(getattr(recipe, name) == getattr(published, name))


def _told(name: str, value: object) -> str:
    return _WORDS[name](value) if name in _WORDS else f"{name.replace('_', ' ')} {value}"


def _adversary(one: Adversary) -> str:
    norm = norm_label(one.norm)
    ramp = f", ramp {one.ramp:g}" if one.ramp else ""
    trades = f", TRADES {one.trades:g}" if one.trades else ""
    awp = f", weights perturbed by {one.awp:g} after {one.awp_after or 0} epochs" if one.awp else ""
    return f"adversary {norm} {one.eps:.3g} by {one.steps} × {one.step_share:g}{ramp}{trades}{awp}"
