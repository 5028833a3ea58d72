"""Attacks on somebody's network: adversarial images, robust accuracy, and what images made for one do to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from raylab.api.images import check_images, check_labels, checked, configured
from raylab.api.model import in_use
from raylab.core import evaluate, objectives, seeding
from raylab.core.balls import Norm
from raylab.core.invert import Iterate
from raylab.core.pgd import descend
from raylab.core.statistics import Estimate
from raylab.engine.columns import Batch
from raylab.engine.worker import mapped
from raylab.report.per_seed import clopper_pearson
from raylab.stages import robustness
from raylab.stages.construction import Attack
from raylab.stages.images import to_tensor
from raylab.stages.robustness import Ensemble, Robustness


def attack(
    model: nn.Module,  # images in [0, 1] -> logits
    images: Tensor,  # (N, C, H, W), in [0, 1]
    labels: Tensor,  # (N,) int64
    *,
    eps: float,
    norm: Norm = "l2",
    steps: int = 20,
    step_size: float | None = None,
    restarts: int = 1,
    targets: Tensor | None = None,
    iterate: Iterate = "best",
    seed: int = 0,
    ids: Tensor | None = None,
    batch_rows: int = 250,
) -> Tensor:
    """Adversarial images (N, C, H, W) by projected gradient descent (Madry et al. 2018), on the images' device. By
    default there is no random start.

    Away from the labels, or with targets (N,) int64 towards these. eps, step_size: radius and length of a step in units
    of pixels in [0, 1]; step_size None is 2.5 eps / steps. The first of the restarts begins at the image, the others at
    random points of the ball, drawn by (seed, id); of each image the restart of least loss is kept. The loss is the
    log-odds, an increasing function of the cross-entropy that does not vanish where the network is sure.
    iterate: of each restart the one of least loss, or the last.

    Raises ValueError, before anything is computed, where an argument cannot be meant.
    """
    config = configured(Attack, norm=norm, eps=eps, steps=steps, step_size=step_size, iterate=iterate)
    _check_count("restarts", restarts)
    _check_count("batch_rows", batch_rows)
    rows = checked(images, labels, ids)
    if targets is not None:
        check_labels(targets, len(images), name="targets")
        rows["target"] = targets.detach().cpu().numpy()
    with in_use(model, images) as used:
        for name in rows.keys() & {"label", "target"}:
            check_labels(torch.from_numpy(rows[name]), len(images), used.num_classes, f"{name}s")
        found = mapped(partial(_attacked, config, used.network, used.device, restarts, seed), rows, batch_rows)
    return torch.from_numpy(found["image"]).to(images.device)


@dataclass(frozen=True)
class RobustAccuracy:
    """Shares of the same images, by radius; an image is robust where no attack was found that breaks it."""

    eps: tuple[float, ...]
    clean: float  # accuracy without an attack
    robust: tuple[float, ...]  # the one that counts: of each image the worst of PGD and ensemble
    pgd: tuple[float, ...]
    ensemble: tuple[float | None, ...]  # None: not asked
    margins: Tensor = field(repr=False)  # (N, E): least logit margin that any attack found; the image stands above 0
    warnings: tuple[str, ...]  # what says that the attacks were blinded, and not withstood
    columns: Batch = field(repr=False)  # (N,) and (N, E) by attack, as a store has them

    @property
    def stands(self) -> Tensor:
        """(N, E) bool: which images withstood everything."""
        return self.margins > 0

    @property
    def intervals(self) -> tuple[tuple[float, float], ...]:
        """Of `robust`, by radius: exact 95 % (Clopper and Pearson 1934), the images being a sample of many."""
        low, high = clopper_pearson(self.stands.sum(dim=0).double().cpu().numpy(), len(self.margins))
        return tuple(zip(low.tolist(), high.tolist(), strict=True))


def robust_accuracy(
    model: nn.Module,  # images in [0, 1] -> logits
    images: Tensor,  # (N, C, H, W) float32, in [0, 1]
    labels: Tensor,  # (N,) int64
    *,
    eps: float | Sequence[float],
    norm: Norm = "l2",
    ensemble: Literal["apgd,square"] | None = "apgd,square",
    pgd_steps: int = 20,
    restarts: int = 1,
    pgd_score: Literal["any_iterate"] | None = None,
    steps: int = 100,
    queries: int = 5000,
    seed: int = 0,
    ids: Tensor | None = None,
    batch_rows: int = 250,
) -> RobustAccuracy:
    """Accuracy under the worst of several attacks on each image (Croce and Hein 2020), with warnings of gradients that
    are masked (Athalye et al. 2018).

    eps: a radius, or several that increase, in units of pixels in [0, 1].
    ensemble: AutoAttack's "standard" without FAB: APGD on the cross-entropy and the targeted DLR loss (`steps` each),
    and Square (`queries`); None: PGD alone, which overestimates more often. pgd_steps, restarts: of PGD.
    pgd_score: None, PGD's iterate of highest loss decides; "any_iterate": any of them does, which is sooner.
    seed, ids: random starts are a function of these; ids None is 0 to N - 1.

    Raises ValueError, before anything is computed, where an argument cannot be meant.
    """
    config = configured(
        Robustness,
        norm=norm,
        eps=tuple(eps) if isinstance(eps, Sequence) and not isinstance(eps, str) else (eps,),
        pgd_steps=pgd_steps,
        restarts=restarts,
        pgd_score=pgd_score,
        ensemble=_ensemble(ensemble, steps, queries),
    )
    _check_count("batch_rows", batch_rows)
    rows = checked(images, labels, ids)
    robustness.check(config, images.shape[1:])
    with in_use(model, images) as used:
        check_labels(labels, len(images), used.num_classes)
        found = mapped(partial(_measured, config, used.network, used.device, seed), rows, batch_rows)
    shares: Mapping[str, Any] = robustness.summarise(config, found)
    worst = np.fmin(found["pgd_margin"], found["ensemble_margin"])
    return RobustAccuracy(
        config.eps,
        shares["clean"],
        shares["robust"],
        shares["pgd"],
        shares["ensemble"],
        torch.from_numpy(worst).to(images.device),
        shares["warnings"],
        found,
    )


def transfer(
    source_images: Tensor,  # (N, C, H, W), in [0, 1]: adversarial images of another network
    model: nn.Module,  # the target network: images in [0, 1] -> logits
    labels: Tensor,  # (N,) int64: what the images show
    *,
    targets: Tensor | None = None,
    images: Tensor | None = None,
    source_predictions: Tensor | None = None,
    ids: Tensor | None = None,
    batch_rows: int = 250,
) -> Mapping[str, Estimate]:
    """How often adversarial images of one network mislead another (Ilyas et al. 2019, section 3.3): rates by name, each
    with its binomial standard error and number of images.

    "misclassified": the model errs.  With targets (N,), the classes that an attack aimed at: "hits_target", the model
    says the target (images whose target is their label are not counted); without, and with source_predictions (N,),
    "same_class": it errs as the source does.
    With the clean images (N, C, H, W) and source_predictions also each rate "..._given_fooled": among the images that
    the model has right when clean, and whose attack succeeded on the source.

    Raises ValueError, before anything is computed, where an argument cannot be meant.
    """
    _check_count("batch_rows", batch_rows)
    rows = checked(source_images, labels, ids)
    for name, given in (("targets", targets), ("source_predictions", source_predictions)):
        if given is not None:
            check_labels(given, len(source_images), name=name)
    if images is not None:
        check_images(images)
        if images.shape != source_images.shape:
            raise ValueError(f"images: those of source_images, {tuple(source_images.shape)}, got {tuple(images.shape)}")
    with in_use(model, source_images) as used:
        check_labels(labels, len(source_images), used.num_classes)

        def said(x: Tensor) -> evaluate.Labels:
            parts = [
                evaluate.logits(used.network, part.to(used.device), batch_rows) for part in torch.split(x, batch_rows)
            ]
            return evaluate.predictions(torch.cat(parts).cpu().numpy())

        answer = said(source_images)
        right = np.ones(len(rows["id"]), np.bool_) if images is None else said(images) == rows["label"]
    known = rows["label"] if source_predictions is None else source_predictions.cpu().numpy()
    if targets is None:
        rates = evaluate.untargeted_transfer(rows["label"], right, known, answer)
    else:
        rates = evaluate.targeted_transfer(rows["label"], targets.cpu().numpy(), right, known, answer)
    unknown = {"same_class"} if source_predictions is None else set()
    conditional = images is not None and source_predictions is not None
    known_rates = {name: rate for name, rate in rates.items() if name not in unknown}
    return {name: rate for name, rate in known_rates.items() if conditional or not name.endswith(evaluate.GIVEN)}


def _attacked(config: Attack, network: nn.Module, device: str, restarts: int, seed: int, batch: Batch) -> Batch:
    x, ids = to_tensor(batch["image"], device), batch["id"]
    wanted = torch.from_numpy(batch["target" if "target" in batch else "label"]).to(device)
    objective = (objectives.towards if "target" in batch else objectives.away)(network, wanted)
    image, least = x, x.new_full((len(x),), torch.inf)
    for restart in range(restarts):
        start = None
        if restart > 0:
            noise = seeding.uniform(seed, f"pgd/{restart}", ids, x[:1].numel() + 1)
            start = x + config.ball.sample(torch.from_numpy(noise).to(device), x)
        ended = descend(objective, x, config.ball, config.step, config.steps, start=start)
        best = config.iterate == "best"
        found, loss = (ended.best, ended.best_loss) if best else (ended.last, ended.last_loss)
        image = torch.where((loss < least).view(-1, 1, 1, 1), found, image)
        least = torch.minimum(loss, least)
    return {"image": image.contiguous().cpu().numpy()}


def _measured(config: Robustness, network: nn.Module, device: str, seed: int, batch: Batch) -> Batch:
    label = torch.from_numpy(batch["label"]).to(device)
    return robustness.measure(config, network, to_tensor(batch["image"], device), label, batch["id"], seed)


def _ensemble(name: str | None, steps: int, queries: int) -> Ensemble | None:
    if name is None:
        return None
    if name != "apgd,square":
        raise ValueError(f'ensemble: "apgd,square", or None for PGD alone, got {name!r}')
    return configured(Ensemble, steps=steps, queries=queries)


def _check_count(name: str, value: int) -> None:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}: a whole number, at least 1, got {value!r}")
