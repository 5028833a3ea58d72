"""What learning from errors says about rows 18 to 20."""

from __future__ import annotations

from collections.abc import Iterator

from raylab.core.statistics import over_seeds
from raylab.experiments.errors.config import PUBLISHED_TOY, Across, StoppedTeacher, ToyPart, ToyProtocol
from raylab.experiments.errors.measure import Errors, Learner
from raylab.scoreboard import recipes
from raylab.scoreboard.evidence import Evidence
from raylab.scoreboard.protocol import differing, named, of_data, of_networks
from raylab.scoreboard.recipes import of_recipe, of_recipes
from raylab.stages.recipe import Recipe

NORMALISED = ("dataset", "image")  # the article does not say whether the set or each image was brought to MNIST's


def evidence(found: Errors) -> Iterator[Evidence]:
    """Of every teacher and student, way and protocol of the toy that was built."""
    yield from (one for one in planned(found) if one.ours.seeds)


def planned(found: Errors) -> Iterator[Evidence]:
    """The same, and of what was not built: of no seeds."""
    yield from _errors(found)
    yield from _toys(found)
    yield from _across(found)


def _errors(found: Errors) -> Iterator[Evidence]:
    part, domain = found.config.errors, found.domain("errors")
    if part is None:
        return
    for teacher in part.teachers:
        name = teacher.called
        own = found.teachers[Learner("errors", name)]
        for student in part.students:
            key = Learner("errors", name, student, "predicted")
            on = f"{named(part.data, domain.note)}, {name} → {student}"
            data, networks = of_data(part.data, "cifar10", domain.note, domain.rows), (teacher.network, student)
            protocol = differing((data, of_networks(networks, "resnet18"), _training(teacher, part.student)))
            yield Evidence(18, "teacher, training set", own.fit.mean, on, protocol)
            yield Evidence(18, "teacher, test set", own.accuracy.mean, on, protocol)
            yield Evidence(18, "student", found.students[key].accuracy.mean, on, protocol)
            yield Evidence(18, "right pairs left in the set", found.right_pairs(key), on, protocol)


def _training(teacher: StoppedTeacher, student: Recipe) -> str:
    """Stopped by its epochs, or else at its published accuracy, however often that is asked."""
    recipe = teacher.recipe
    by_epochs = of_recipe(recipe, recipes.TEACHER)
    by_accuracy = of_recipe(recipe, recipes.TEACHER_TO_ACCURACY, unstated=("epochs", "stop_every"))
    differs = min(by_epochs, by_accuracy, key=len)
    return differing((f"teacher: {differs}" if differs else "", of_recipes(("student", student, recipes.STUDENT))))


def _toys(found: Errors) -> Iterator[Evidence]:
    """Of 32 points; the article states neither network nor attack, so the first way of pushing is at its protocol."""
    part = found.config.toy
    if part is None or part.points != 32:
        return
    for protocol in part.protocols:
        differs = differing((_pushed(protocol), _small(part)))
        right = [one.mean for one in found.toys[protocol.name]["right"].values()]
        yield Evidence(19, "mean", over_seeds(right, len(right)), f"toy, {protocol.name}", differs)


def _pushed(protocol: ToyProtocol) -> str:
    """The article states the radius; the steps are ours."""
    stated = ToyProtocol(name=PUBLISHED_TOY, push="linf", amount=0.12)
    return "" if protocol == stated else f"pushed otherwise: {protocol.name}"


def _small(toy: ToyPart) -> str:
    """Networks and their training, which the article does not state, as ours are where nothing is said."""
    ours = {"hidden": toy.hidden, "steps": toy.steps}
    usual = {"hidden": ToyPart().hidden, "steps": ToyPart().steps}
    return ", ".join(f"{name} {value}" for name, value in ours.items() if value != usual[name])


def _across(found: Errors) -> Iterator[Evidence]:
    part, own, other = found.config.across, found.domain("across"), found.domain("across", "images")
    if part is None:
        return
    labelled = of_data(part.images, "fashion_mnist", other.note, other.rows)
    differs = differing((of_data(part.data, "mnist", own.note, own.rows), labelled))
    images = f"{other.rows} images of {named(part.images, other.note)} labelled by"
    for network in part.networks:
        on = f"{images} {named(part.data, own.note)}, {network}"
        protocol = differing((differs, of_networks((network,), "cnn"), _recipes(part)))
        yield Evidence(20, "teacher", found.teachers[Learner("across", network)].accuracy.mean, on, protocol)
        by_way = {way: found.students[Learner("across", network, network, way)].accuracy for way in part.ways}
        if "raw" not in by_way:
            continue
        yield Evidence(20, "raw", by_way["raw"].mean, on, protocol)
        for way in NORMALISED:
            if way in by_way:
                gained = (by_way[way] - by_way["raw"]).mean
                yield Evidence(20, "normalised minus raw", gained, f"{on}, normalised by {way}", protocol)


def _recipes(part: Across) -> str:
    return of_recipes(
        ("teacher", part.teacher, recipes.ACROSS_TEACHER), ("student", part.student, recipes.ACROSS_STUDENT)
    )
