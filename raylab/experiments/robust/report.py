"""The report on robust and non-robust sets: the answer, tables and figures, each said once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from raylab.experiments.robust.figures import examples, robust_accuracy
from raylab.experiments.robust.measure import COMPARED, LABELS, InversionQuality, Layers, MeasuredNetwork, RobustSets
from raylab.experiments.robust.plan import ADVERSARIAL, CLEAN, STANDARD, RobustCell
from raylab.experiments.robust.verdict import answer, of_layers, verdicts
from raylab.report.blocks import Block, Condition, Figures, Fold, Report, Table, Text, Verdicts, each, note
from raylab.report.charts import Mark, dots, reliance
from raylab.report.drawing import seeds_phrase
from raylab.report.names import FEATURES
from raylab.report.numbers import percent, share
from raylab.report.per_seed import PerSeed
from raylab.report.picture import INK, Picture
from raylab.report.significance import EVERY_TEST, paired_tests
from raylab.report.values import Fixed, Plain, Singles, Value

MEANINGS = {
    CLEAN: "the training images",
    "r_image": "images with the robust network’s features of D, started from other training images",
    "r_noise": "the same, started from noise",
    "nr_image": "images with the standard network’s features of D, started from other training images",
    "nr_noise": "the same, started from noise",
    "filtered": "D, every frequency scaled to the power that it has in D_R: the same spectrum without a network",
    "blurred": "D, every frequency weakened to what D_R shares with it: a blur without a network",
    "released_r": "the robust set that Ilyas et al. released",
    "released_nr": "and their non-robust one",
    ADVERSARIAL: "D, trained adversarially: the source of D_R and what all others are measured against",
}
OTHERS = {
    "l2": "L2",
    "linf": "L∞",
    "l1": "L1",
    "l2_low": "L2, low frequencies",
    "l2_high": "L2, high frequencies",
    "shift": "shift, pixels",
    "rotate": "rotation, degrees",
}
LAYERS = {STANDARD: "Standard", ADVERSARIAL: "Adversarial", "r_image": "Student of D_R"}  # networks as columns
# ImageNet, read off the figure of the reply (Distill 2019): four layers of ResNet-50, the radius is not stated.
PUBLISHED_LAYERS = "standard .54 .45 .445 .58, robust .07 .065 .062 .05 (ResNet-50 on ImageNet)"
OWN, MOVED, TEST = "its own training images", "test images made as D_R", "the test images"
MARKS = {OWN: Mark("#0072b2"), MOVED: Mark("#56b4e9", "s"), TEST: Mark(INK, "D")}
Columns = Mapping[str, Callable[[MeasuredNetwork], Value]]


def report(found: RobustSets) -> Report:
    return Report(
        found.title,
        answer(found),
        tuple(_blocks(found)),
        robust_accuracy(found),
        "robust_accuracy",
        dict(_metrics(found)),
    )


def _blocks(found: RobustSets) -> Iterator[Block]:
    yield from note(found.note)
    if warnings := found.warnings:
        title = f"{len(warnings)} warning{'s' if len(warnings) > 1 else ''}"
        yield Text(title, tuple(f"{where}, seed {seed}: {text}" for where, seed, text in warnings), "note")
    yield Verdicts("What the numbers allow, by architecture of the student.", verdicts(found), "Student")
    yield Text("What this size can show", tuple(_size(found)), "aside")
    yield Text("The sets", look="heading")
    sets = (*found.sets, ADVERSARIAL)
    yield Text("What each is trained on", tuple(f"{LABELS[of]}: {MEANINGS[of]}." for of in sets))
    yield Figures((examples(found),))
    if found.inverted:
        yield _inversions(found)
    yield Text("Clean and robust accuracy", look="heading")
    yield _accuracy(found)
    if names := tuple(found.config.evaluate_on or ()):
        yield _further(found, names)
    yield Fold("Each attack alone", (_attacks(found),))
    yield _differences(found)
    if (tested := _tests(found)).rows:
        yield Fold(EVERY_TEST, (tested,))
    yield Text("How far it carries", look="heading")
    yield Figures((_shift(found),))
    yield _shift_table(found)
    if found.config.robustness.others:
        yield _others(found)
    if found.layers is not None:
        yield from _layers(found, found.layers)
    if any(one.reliance for one in found.networks):
        yield Text("What is true here", look="heading")
        yield Figures((_reliance(found),))
        yield Fold("The same in numbers", (_reliance_table(found),))


def _size(found: RobustSets) -> Iterator[str]:
    seeds = len(found.config.seeds)
    tested = next((one.n for network in found.networks for one in network.accuracy.values()), 0)
    yield (
        f"{found.training_rows:,} training images a seed; accuracy on {tested:,} test images, robust accuracy on "
        f"{found.attacked:,} of them; {seeds} seed{'' if seeds == 1 else 's'}. The standard source is right on "
        f"{percent(found.standard.mean)}."
    )
    if seeds == 1:
        yield "One seed says nothing of another network, split or world: no verdict is given."
    gap, networks = found.overestimate
    if networks:
        yield (
            f"PGD alone is too kind: the ensemble finds more in {networks} of {len(found.networks) * seeds} networks, "
            f"up to {share(gap)} points over seeds. What counts is, of each image, the worst of both."
        )


# -- tables


def _of_networks(name: str, caption: str, found: RobustSets, columns: Columns, bold: str = "") -> Table:
    """A row for each network."""
    keys: Columns = {"Student": lambda one: one.architecture, "Trained on": lambda one: LABELS[one.set]}
    return Table.of(name, caption, found.networks, {**keys, **columns}, 2, bold)


def _accuracy(found: RobustSets) -> Table:
    c = found.config
    return _of_networks(
        "robust_accuracy",
        f"Accuracy in percent, mean ± standard error{seeds_phrase(c.seeds)}. Clean: the whole test set. Radii: of each "
        f"image the worst of all attacks that were asked there; the verdict is on {c.eps:g}.",
        found,
        {
            "Clean": lambda one: one.accuracy,
            **each(c.robustness.eps, "Radius {:g}", lambda eps, one: one.at[eps].worst),
            f"Single seeds, {c.eps:g}": lambda one: Singles(one.at[c.eps].worst),
            "n": lambda one: one.at[c.eps].worst.mean.n,
            "Seeds": lambda one: len(one.at[c.eps].worst),
        },
        f"Radius {c.eps:g}",
    )


def _further(found: RobustSets, names: tuple[str, ...]) -> Table:
    return _of_networks(
        "further",
        f"Accuracy on further test images, in percent, ± standard error{seeds_phrase(found.config.seeds)}.",
        found,
        {"Clean": lambda one: one.accuracy, **each(names, "{}", lambda on, one: one.further[on])},
    )


def _attacks(found: RobustSets) -> Table:
    c = found.config
    return _of_networks(
        "attacks",
        f"Accuracy under PGD and, where it was asked, under the ensemble, in percent, by radius; radius 0 is of the "
        f"images that were attacked. Mean ± standard error{seeds_phrase(c.seeds)}.",
        found,
        {
            "Radius 0": lambda one: one.attacked_clean,
            **each(c.robustness.eps, "PGD, {:g}", lambda eps, one: one.at[eps].pgd),
            **each(c.robustness.eps, "Ensemble, {:g}", lambda eps, one: one.at[eps].ensemble),
            "Warnings": lambda one: len(one.warnings),
            "PGD too kind, seeds": lambda one: len(one.overestimates),
        },
    )


def _differences(found: RobustSets) -> Table:
    judged = {one.subject: one.badge for one in verdicts(found)}
    above = {student: found.above(student) for student in found.config.students}
    columns = {
        f"D_R minus {LABELS[of]}": partial(lambda of, student: above[student][of], of)
        for of in COMPARED
        if of in found.sets
    }
    return Table.of(
        "differences",
        f"Robust accuracy at radius {found.config.eps:g}: the student of D_R minus that of another set, in points, "
        "paired over seeds.",
        found.config.students,
        {"Student": str, **columns, "Verdict": lambda student: judged[student]},
    )


def _tests(found: RobustSets) -> Table:
    return paired_tests(
        f"Robust accuracy at radius {found.config.eps:g} of the student of D_R minus that of another set",
        ("Student", "Minus"),
        (((name, LABELS[of]), one) for name in found.config.students for of, one in found.above(name).items()),
        len(found.config.seeds),
    )


def _inversions(found: RobustSets) -> Table:
    def fixed(of: float, decimals: int) -> Fixed | None:
        return None if math.isnan(of) else Fixed(of, decimals)

    def unconverged(one: InversionQuality) -> Fixed | None:
        return fixed(100 * one.unconverged, 1)

    return Table.of(
        "inversions",
        "How near the inversions came, all seeds: ‖g(z) − g(x)‖ / ‖g(x)‖ of the features, where an independent image "
        "has about 1. Iterate: the image that was kept of each descent, the one of nearest "
        "features (best) or the last.",
        found.inverted,
        {
            "Set": lambda one: LABELS[one.set],
            "n": lambda one: one.n,
            "Median residual": lambda one: fixed(one.median, 3),
            "95th percentile": lambda one: fixed(one.p95, 3),
            "Above 0.2, %": unconverged,
            "Iterate": lambda one: one.iterate,
        },
    )


def _shift_table(found: RobustSets) -> Table:
    return Table.of(
        "shift",
        f"Students of D_R under PGD of radius {found.config.eps:g}: accuracy in percent.",
        _shifts(found).items(),
        {
            "Student": lambda row: row[0],
            "Own training images": lambda row: row[1][OWN],
            "Test images made as D_R": lambda row: row[1][MOVED],
            "Test images": lambda row: row[1][TEST],
        },
    )


def _others(found: RobustSets) -> Table:
    sizes = found.config.robustness.others
    return _of_networks(
        "other_perturbations",
        "Other sets of perturbations, which nobody was trained against: accuracy under PGD, or under every one of a "
        "grid of motions, in percent.",
        found,
        {
            f"{OTHERS[name]}, {size:g}": partial(lambda name, one: one.others[name], name)
            for name, size in sizes.items()
        },
    )


def _layers(found: RobustSets, layers: Layers) -> Iterator[Block]:
    yield Text("Robust layers", look="heading")
    yield Text(
        "Nakano found that style transfer, which fails with a standard ResNet, works with an adversarially trained "
        "one; the authors replied that it takes robust layers, not robust answers. R(f) is how far an attack of radius "
        f"{layers.eps:g} on the image moves a layer, over how far apart that layer keeps two images."
    )
    yield Text(of_layers(layers))
    yield Table.of(
        "layers",
        f"R(f) of the layers of {found.config.source} at radius {layers.eps:g}, from the image to the logits: mean ± "
        f"standard error{seeds_phrase(found.config.seeds)}, {layers.n} test images a seed. Published: "
        f"{PUBLISHED_LAYERS}; its radius is not stated.",
        range(len(layers.names)),
        {
            "Layer": lambda place: layers.names[place],
            **{
                words: partial(lambda of, place: Plain(layers.of[of][place], 3), of)
                for of, words in LAYERS.items()
                if layers.worst[of]
            },
            "Standard / adversarial": lambda place: Plain(layers.ratios[place], 1),
        },
    )


def _reliance_table(found: RobustSets) -> Table:
    return _of_networks(
        "reliance",
        "Feature reliance: share of images in which a network says the class of one feature or of the other, in "
        "percent.",
        found,
        each(FEATURES, "Says the {}", lambda feature, one: one.reliance[feature]),
    )


# -- the tracker


def _metrics(found: RobustSets) -> Iterator[tuple[str, float]]:
    for student in found.config.students:
        for of, value in found.above(student).items():
            yield f"above/{of}/{student}", value.mean.mean
    for one in found.networks:
        yield f"robust/{one.set}/{one.architecture}", one.at[found.config.eps].worst.mean.mean
    if found.layers is not None:
        yield "layers/standard_over_adversarial", found.layers.ratio.mean.mean
    yield "warnings", float(len(found.warnings))


def conditions(found: RobustSets) -> Iterator[Condition]:
    """Every network."""
    judged = {one.subject: one.badge.words for one in verdicts(found)}
    for one in found.networks:
        on_d = one.set in (CLEAN, ADVERSARIAL)
        yield Condition(
            {"set_kind": one.set, "student": one.architecture, "eps": found.config.eps},
            _numbers(found, one),
            judged[one.architecture] if one.set == "r_image" else "",
            RobustCell("network", 0, one.set, one.architecture),
            RobustCell("data", 0) if on_d else RobustCell("set", 0, one.set),
        )


def _numbers(found: RobustSets, one: MeasuredNetwork) -> dict[str, PerSeed]:
    """The metrics of a network by group."""
    norm = found.config.robustness.norm
    numbers = {"accuracy/test": one.accuracy, "accuracy/attacked_images": one.attacked_clean}
    for eps, at in one.at.items():
        for attack, value in (("robust", at.worst), ("pgd", at.pgd), ("ensemble", at.ensemble)):
            numbers[f"{attack}/{norm}_{eps:g}"] = value
    sizes = found.config.robustness.others.items()
    numbers |= {f"other_perturbations/{name}_{size:g}": one.others[name] for name, size in sizes}
    numbers |= {f"accuracy_on/{name}": value for name, value in one.further.items()}
    numbers |= {f"reliance/{feature.replace(' ', '_')}": value for feature, value in one.reliance.items()}
    if one.set == "r_image":
        numbers |= {"pgd/own_images": one.own, "pgd/test_images_made_as_d_r": one.moved}
        numbers |= {f"above/{of}": value for of, value in found.above(one.architecture).items()}
    return numbers


# -- figures


def _shifts(found: RobustSets) -> dict[str, dict[str, PerSeed]]:
    won = [found.network("r_image", student) for student in found.config.students]
    eps = found.config.eps
    return {one.architecture: {OWN: one.own, MOVED: one.moved, TEST: one.at[eps].pgd} for one in won}


def _shift(found: RobustSets) -> Picture:
    caption = (
        "Table 8 of the paper: a ResNet-50 on CIFAR-10 has 77.3, 62.5 and 48.3 % at radius 0.25. The first gap is that "
        "of generalisation, the second what D_R lacks of D."
    )
    unit = f"accuracy under PGD of radius {found.config.eps:g}, %"
    return dots("shift", "Students of D_R: how far robustness carries", unit, _shifts(found), MARKS, caption)


def _reliance(found: RobustSets) -> Picture:
    parts = dict(zip(FEATURES, ("#0072b2", "#d55e00"), strict=True))
    rows = {f"{one.architecture} · {LABELS[one.set]}": one.reliance for one in found.networks}
    caption = (
        "See-Far is synthetic and knows its features: a large robust one (its shape), which the attack cannot change, "
        "and a faint non-robust one (its toogit), which it can. Networks are shown images in which the two disagree. "
        f"Means{seeds_phrase(found.config.seeds)}."
    )
    return reliance("network", rows, parts, caption)
