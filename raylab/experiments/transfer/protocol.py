"""In what a transfer matrix differs from what was published for a row, in words: "" where it does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from raylab.experiments.transfer.measure import Matrix, Row
from raylab.scoreboard import recipes
from raylab.scoreboard.protocol import (
    differing,
    of_attack,
    of_data,
    of_networks,
    of_precision,
    radius,
    same_radius,
)
from raylab.scoreboard.recipes import at_rate, of_recipe, of_recipes
from raylab.stages.construction import Attack
from raylab.stages.dataset import DigitsData
from raylab.stages.recipe import Recipe

PUBLISHED = Attack(eps=0.5, steps=100, step_size=0.1)  # of CIFAR-10; Ilyas et al. 2019, appendix C.5
IMAGENET = Attack(eps=3.0, steps=100, step_size=0.1)  # of Restricted ImageNet; the same
DIGITS = Attack(eps=1.5, steps=100, step_size=0.3)  # of row 46
NETWORKS = {
    "vgg16": "VGG-16",
    "inception_v3": "Inception",
    "resnet18": "ResNet-18",
    "densenet121": "DenseNet",
    "resnet50": "ResNet-50",
}


Trained = Iterator[tuple[str, Recipe, Recipe]]


def _trained(matrix: Matrix, row: Row, student: Recipe) -> Trained:
    """The source and the students of one pair, beside the recipes of Ilyas et al."""
    c = matrix.config
    own = getattr(c.students, row.kind) or c.train
    yield "source", at_rate(c.train, c.network_lr, row.source), recipes.STANDARD
    yield f"students of {row.kind}", at_rate(own, c.network_lr, row.target), student


def of_pair(matrix: Matrix, row: Row, student: Recipe, data: str = "cifar10") -> str:
    """Of one pair on CIFAR-10, or tested on CIFAR-10.1."""
    networks = of_networks((row.source, row.target), "resnet50")
    return _differing(matrix, data, networks, PUBLISHED, *_trained(matrix, row, student))


def of_robust(matrix: Matrix, row: Row) -> str:
    """With the adversarially trained source; all of the row's numbers have one protocol."""
    c = matrix.config
    robust = at_rate(c.controls.recipe("robust", c.train, c.attack), c.network_lr, row.source)
    students = [
        (f"students of {kind}", at_rate(getattr(c.students, kind) or c.train, c.network_lr, row.target), published)
        for kind, published in (("rand", recipes.RAND), ("det", recipes.DET))
        if kind in c.kinds
    ]
    networks = of_networks((row.source, row.target), "resnet50")
    return _differing(matrix, "cifar10", networks, PUBLISHED, ("robust source", robust, recipes.ADVERSARIAL), *students)


def of_architectures(matrix: Matrix, sources: Sequence[str], targets: Sequence[str]) -> str:
    """From a ResNet-50 to the five architectures, all trained as a ResNet-50 is."""
    c, det = matrix.config, matrix.config.students.det or matrix.config.train
    same = tuple(sources) == ("resnet50",) and set(targets) == set(NETWORKS)
    trained = [
        *(("sources", at_rate(c.train, c.network_lr, name), recipes.STANDARD) for name in sources),
        *(("independent networks", at_rate(c.train, c.network_lr, name), recipes.STANDARD) for name in targets),
        *(("students of det", at_rate(det, c.network_lr, name), recipes.DET) for name in targets),
    ]
    names = "" if same else ", ".join(dict.fromkeys((*sources, *targets)))
    return _differing(matrix, "cifar10", names, PUBLISHED, *trained)


def of_imagenet(matrix: Matrix, row: Row) -> str:
    students = {"rand": recipes.IMAGENET_RAND, "det": recipes.IMAGENET_DET}
    trained = [one for kind in students for one in _trained(matrix, replace(row, kind=kind), students[kind])]
    networks = of_networks((row.source, row.target), "resnet50")
    return _differing(matrix, "restricted_imagenet", networks, IMAGENET, *trained)


def of_jordan(matrix: Matrix, row: Row) -> str:
    """Patterns have a radius and no steps; his rate rises and falls in straight lines."""
    c = matrix.config
    trained = [(who, recipe, recipes.JORDAN) for who, recipe, _ in _trained(matrix, row, recipes.JORDAN)]
    same = c.attack.norm == PUBLISHED.norm and same_radius(c.attack.eps, PUBLISHED.eps)
    assert c.controls.leakage is not None
    epochs = c.controls.leakage.weak_epochs
    return differing(
        (
            of_data(c.data, "cifar10", matrix.note, matrix.training_rows),
            of_networks((row.source, row.target), "resnet9"),
            "" if same else radius(c.attack),
            f"{epochs} epochs of the selector" if epochs != 1 else "",
            of_recipes(*trained),
            recipes.TRIANGLE,
        )
    )


def of_kumano(matrix: Matrix, row: Row) -> str:
    """The authors' schedule follows the training loss, which no schedule of ours does."""
    source, student = ((who, recipe) for who, recipe, _ in _trained(matrix, row, recipes.KUMANO_STUDENT))
    networks = of_networks((row.source, row.target), "kumano_convnet")
    attack, schedules = Attack(eps=2.0, steps=100, step_size=0.4), (source[1].schedule, student[1].schedule)
    trained = ((*source, recipes.KUMANO), (*student, recipes.KUMANO_STUDENT))
    return differing(
        (
            _differing(matrix, "mnist", networks, attack, *trained),
            f"schedule {', '.join(dict.fromkeys(schedules))} for reduce-on-plateau",
        )
    )


def _differing(matrix: Matrix, data: str, networks: str, attack: Attack, *trained: tuple[str, Recipe, Recipe]) -> str:
    c = matrix.config
    return differing(
        (
            of_data(c.data, data, matrix.note, matrix.training_rows),
            networks,
            of_attack(c.attack, attack),
            of_precision(c.compute),
            of_recipes(*trained),
        )
    )


def of_digits(matrix: Matrix, row: Row) -> str:
    """What the recipe of row 46 does not state (batch size, split, iterate) is no difference."""
    c, data = matrix.config, matrix.config.data
    train = matrix.training_rows
    as_they_are = isinstance(data, DigitsData) and (data.mean, data.std) == (0.0, 1.0)
    trained = [recipe for _, recipe, _ in _trained(matrix, row, Recipe())]
    training = (of_recipe(recipe, recipes.DIGITS, unstated=("batch_size",)) for recipe in trained)
    return differing(
        (
            "" if train == 1400 else f"{train} training images",
            "" if as_they_are else "a normalising layer",
            of_networks((row.source, row.target), "mlp"),
            of_attack(c.attack, DIGITS),
            of_precision(c.compute),
            *dict.fromkeys(training),
        )
    )
