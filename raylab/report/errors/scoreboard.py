"""What learning from errors says about rows 18 to 20."""

from __future__ import annotations

from collections.abc import Iterator

from raylab.core.statistics import Estimate
from raylab.recipes.errors import PUBLISHED_TOY, Cell
from raylab.recipes.errors_config import Across, Stopped, Toy, ToyProtocol
from raylab.report.errors.table import Errors, Key
from raylab.report.estimates import difference
from raylab.report.scoreboard import recipes
from raylab.report.scoreboard.evidence import Evidence
from raylab.report.scoreboard.protocol import differing, named, of_data, of_networks
from raylab.report.scoreboard.recipes import of_recipe, of_recipes
from raylab.stages.recipe import Recipe

NORMALISED = ("dataset", "image")  # the article does not say whether the set or each image was brought to MNIST's


def evidence(errors: Errors) -> Iterator[Evidence]:
    """Of every teacher and student, way and protocol of the toy that was run."""
    yield from _errors(errors)
    yield from _toys(errors)
    yield from _across(errors)


def _errors(errors: Errors) -> Iterator[Evidence]:
    part = errors.config.errors
    if part is None:
        return
    note, rows = errors.note("errors"), errors.data("errors").rows
    for teacher in part.teachers:
        name = teacher.called
        own = Key("errors", name)
        for student in part.students:
            key = Key("errors", name, student, "predicted")
            on = f"{named(part.data, note)}, {name} → {student}"
            protocol = differing(
                (
                    of_data(part.data, "cifar10", note, rows),
                    of_networks((teacher.network, student), "resnet18"),
                    _training(teacher, part.student),
                )
            )
            yield Evidence(18, "teacher, training set", errors.fits[own], on, protocol)
            yield Evidence(18, "teacher, test set", errors.teachers[own].accuracy, on, protocol)
            yield Evidence(18, "student", errors.students[key].accuracy, on, protocol)
            yield Evidence(18, "right pairs left in the set", _right_pairs(errors, key), on, protocol)


def _training(teacher: Stopped, student: Recipe) -> str:
    """Stopped by its epochs, or else at its published accuracy, however often that is asked."""
    recipe = teacher.recipe
    by_epochs = of_recipe(recipe, recipes.TEACHER)
    by_accuracy = of_recipe(recipe, recipes.TEACHER_TO_ACCURACY, unstated=("epochs", "stop_every"))
    differs = min(by_epochs, by_accuracy, key=len)
    return differing((f"teacher: {differs}" if differs else "", of_recipes(("student", student, recipes.STUDENT))))


def _right_pairs(errors: Errors, key: Key) -> Estimate:
    """Counted in the sets themselves, over all seeds."""
    right = 0
    for seed in errors.config.seeds:
        made = errors.artifacts[Cell("set", key.part, seed, key.teacher, "", key.kind)].without_images()
        right += int((made["label"] == made["source_label"]).sum())
    return Estimate(float(right), 0.0, 0, len(errors.config.seeds))


def _toys(errors: Errors) -> Iterator[Evidence]:
    """Of 32 points; the article states neither network nor attack, so the first way of pushing is at its protocol."""
    part = errors.config.toy
    if part is None or part.points != 32:
        return
    for protocol in part.protocols:
        differs = differing((_pushed(protocol), _small(part)))
        yield Evidence(19, "mean", errors.toys[protocol.name].right, f"toy, {protocol.name}", differs)


def _pushed(protocol: ToyProtocol) -> str:
    """The article states the radius; the steps are ours."""
    stated = ToyProtocol(name=PUBLISHED_TOY, push="linf", amount=0.12)
    return "" if protocol == stated else f"pushed otherwise: {protocol.name}"


def _small(toy: Toy) -> str:
    """Networks and their training, which the article does not state, as ours are where nothing is said."""
    ours = {"hidden": toy.hidden, "steps": toy.steps}
    usual = {"hidden": Toy().hidden, "steps": Toy().steps}
    return ", ".join(f"{name} {value}" for name, value in ours.items() if value != usual[name])


def _across(errors: Errors) -> Iterator[Evidence]:
    part = errors.config.across
    if part is None:
        return
    notes = errors.note("across"), errors.note("across", "images")
    known, other = named(part.data, notes[0]), named(part.images, notes[1])
    differs = differing(
        (
            of_data(part.data, "mnist", notes[0], errors.data("across").rows),
            of_data(part.images, "fashion_mnist", notes[1], errors.data("across", "images").rows),
        )
    )
    count = errors.data("across", "images").rows
    for network in part.networks:
        on, protocol = (
            f"{known} teaches by {count} images of {other}, {network}",
            differing((differs, of_networks((network,), "cnn"), _taught(part))),
        )
        yield Evidence(20, "teacher", errors.teachers[Key("across", network)].accuracy, on, protocol)
        by_way = {way: errors.students[Key("across", network, network, way)] for way in part.ways}
        if "raw" not in by_way:
            continue
        yield Evidence(20, "raw", by_way["raw"].accuracy, on, protocol)
        for way in NORMALISED:
            if way in by_way:
                gained = difference(by_way[way].by_seed, by_way["raw"].by_seed)
                yield Evidence(20, "normalised minus raw", gained, f"{on}, normalised by {way}", protocol)


def _taught(part: Across) -> str:
    return of_recipes(
        ("teacher", part.teacher, recipes.ACROSS_TEACHER), ("student", part.student, recipes.ACROSS_STUDENT)
    )
