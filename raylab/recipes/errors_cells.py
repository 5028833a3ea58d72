"""What is measured when networks learn from errors, and how networks are trained and tested for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from raylab.core.seeding import derive
from raylab.stage import Compute, Stage
from raylab.stages.dataset import Data
from raylab.stages.evaluation import evaluate
from raylab.stages.recipe import Recipe
from raylab.stages.training import train


class Cell(NamedTuple):
    """One thing that is measured. Roles, and which of the other fields they use:

    data     part                        a clean training set (of `across`, also "images": that of the other domain)
    network  part teacher                a teacher that was stopped at an accuracy: where it was
    teacher  part teacher                a teacher on the test set
    fit      part teacher                on its own training set; what it gets wrong there is the set of errors
    set      part teacher - kind         a labelled set
    student  part teacher student kind   a student on the test set
    usage    part teacher student kind   whom a network follows: where shape and toogit disagree (of "cue"), where every
                                         image has the cast (of "tint"); without student the teacher
    toy      part kind                   the toy under a protocol

    Parts and their kinds: "errors" predicted, shuffled, random, true; "rounds" round 2, round 3, ...; "curve" clean,
    errors or det of `size` examples; "cue" and "tint" predicted, shuffled, clean; "across" the ways; "toy" protocols.
    """

    role: str
    part: str
    seed: int = 0
    teacher: str = ""
    student: str = ""
    kind: str = ""
    size: int = 0


Cells = Iterator[tuple[Cell, Stage]]


class Networks:
    """How networks are trained and tested in one part and seed."""

    def __init__(self, part: str, data: Data, seed: int, compute: Compute) -> None:
        self.part, self.data, self.seed, self.compute = part, data, seed, compute

    def train(
        self, network: str, recipe: Recipe, role: str, data: Stage, rows: int, of: str, called: str = ""
    ) -> Stage:
        name = f"train {role} {called or network} on {of} seed {self.seed}"
        seed = derive(self.seed, f"errors/{self.part}/{role}/{network}")
        return train(network, recipe, data, self.data.images, seed, rows=rows, name=name)

    def on(self, network: Stage, data: Stage, rows: int, title: str) -> Stage:
        return evaluate(network, data, self.compute, rows=rows, name=f"{title} seed {self.seed}")

    def test(self, network: Stage, title: str) -> Stage:
        return self.on(network, self.data.test, self.data.rows["test"], f"test {title}")
