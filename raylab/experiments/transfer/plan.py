"""Do the perturbations of one network teach another?  (Ilyas et al. 2019, section 3.2 and figure 3)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from raylab.core.construct import Kind
from raylab.experiments.transfer.config import TransferMatrix
from raylab.experiments.transfer.stages import SeedStages
from raylab.stage import Stage
from raylab.stages.construction import Aim


class Cell(NamedTuple):
    """One thing that is measured. Roles, and which of the other fields they use:

    data        -                     the clean training set
    network     source                a source (or with `control` that of a control); target: an independent network;
                                      source target kind: a student
    source      source                a source (`control`: the robust one) on the test set
    standard    target                an independently trained network on the test set
    set         source kind           a constructed training set
    neighbours  source kind           its 1-nearest-neighbour check; neither: that of the clean images
    student     source target kind    a student on the test set; `control` names the control it belongs to, if any (the
                                      unperturbed one has no source, unless only some examples are kept)
    attacked    source kind           attacked test images; kind is the aim, "untargeted" or "det"; of the robust source
                                      "untargeted" alone
    transfer    source target kind    an independent network on them
    oracles     source kind           See-Far's oracles on a set
    usage       source target kind    a student on images whose features disagree
    robustness  source target kind    robust accuracy of a student; target alone: of an independent network
    """

    role: str
    seed: int
    source: str = ""
    target: str = ""
    kind: str = ""
    control: str = ""  # "", "unperturbed", "random_labels", "untrained", "robust", "leakage"


TRANSFER_AIMS: tuple[Aim, ...] = ("untargeted", "det")


def plan(config: TransferMatrix) -> dict[Cell, Stage]:
    """Every measurement of the matrix. A seed changes the split or world, the sources, their targets and the students:
    sources differ from each other more than students do.

    Raises ValueError where the data or a network cannot be had as asked; nothing has run then, or after.
    """
    cells: dict[Cell, Stage] = {}
    for seed in config.seeds:
        cells |= dict(_SeedPlan(config, seed).cells())
    return cells


class _SeedPlan:
    """The plan of one seed."""

    def __init__(self, config: TransferMatrix, seed: int) -> None:
        self.config, self.seed, self.make = config, seed, SeedStages(config, seed)
        self.standard = {name: self.make.network(name, "standard") for name in config.targets}
        self.sources = {name: self.make.network(name, "source") for name in config.sources}

    def cells(self) -> Iterator[tuple[Cell, Stage]]:
        c, seed, data = self.config, self.seed, self.make.data
        yield Cell("data", seed), data.train
        for target, network in self.standard.items():
            yield Cell("network", seed, target=target), network
            yield Cell("standard", seed, target=target), self.make.on_test(network, f"standard {target}")
            if c.robustness is not None and any(c.controls.beside(source, target) for source in c.sources):
                yield Cell("robustness", seed, target=target), self.make.robustness(network, f"standard {target}")
        if c.neighbours:
            yield Cell("neighbours", seed), self.make.neighbours(data.train, "clean images")
        for source, network in self.sources.items():
            yield Cell("network", seed, source), network
            yield Cell("source", seed, source), self.make.on_test(network, f"source {source}")
            yield from self._transfer(source)
            yield from self._students(source, network, c.targets)
        if c.controls.unperturbed:
            yield from self._unperturbed()
        for control in c.controls.of_sources:
            for source in c.sources if c.controls.sources is None else c.controls.sources:
                yield from self._control(source, control)

    def _unperturbed(self) -> Iterator[tuple[Cell, Stage]]:
        """Clean images with the labels of a set, and where only some examples of a set are kept, the same of them: an
        attack towards the own class succeeds most often, so a selection alone can teach."""
        c = self.config
        for kind in c.kinds:
            for source in c.sources if c.keep != "all" else ("",):
                title = f"unperturbed {kind}{f' as kept from {source}' if source else ''}"
                made = self._constructed(kind, self.sources[source], f"{kind} from {source}") if source else None
                for target in c.targets:
                    student = self.make.network(target, "student", kind=kind, relabelled=True, kept_as=made, of=title)
                    place = (self.seed, source, target, kind, "unperturbed")
                    yield Cell("network", *place), student
                    yield Cell("student", *place), self.make.on_test(student, f"{target} on {title}")

    def _control(self, source: str, control: str) -> Iterator[tuple[Cell, Stage]]:
        """A source that a control is named after, and its students; the robust one also under the attack itself."""
        c, seed = self.config, self.seed
        network = self.make.control_source(source, control)
        yield Cell("network", seed, source, control=control), network
        if control == "robust":
            tested = self.make.on_test(network, f"robust source {source}")
            yield Cell("source", seed, source, control=control), tested
            attacked = self.make.construct("untargeted", network, "test", f"untargeted test images of robust {source}")
            yield Cell("attacked", seed, source, "", "untargeted", control), attacked
        yield from self._students(
            source, network, c.targets if c.controls.targets is None else c.controls.targets, control
        )

    def _students(
        self, source: str, network: Stage, targets: tuple[str, ...], control: str = ""
    ) -> Iterator[tuple[Cell, Stage]]:
        c, seed = self.config, self.seed
        for kind in c.kinds:
            title = f"{kind} from {control + ' ' if control else ''}{source}"
            leaking = control == "leakage"
            made = (self.make.leaking if leaking else self._constructed)(kind, network, title)
            yield Cell("set", seed, source, "", kind, control), made
            if c.neighbours and not control:
                yield Cell("neighbours", seed, source, "", kind), self.make.neighbours(made, title)
            if not control and (oracles := self.make.oracles(made, title)):
                yield Cell("oracles", seed, source, "", kind), oracles
            for target in targets:
                place, named = (seed, source, target, kind, control), f"{target} on {title}"
                student = self.make.network(target, "student", kind=kind, made=made, unselected=leaking, of=title)
                yield Cell("network", *place), student
                yield Cell("student", *place), self.make.on_test(student, named)
                if c.robustness is not None and not control and c.controls.beside(source, target):
                    yield Cell("robustness", *place), self.make.robustness(student, named)
                if not control and (usage := self.make.usage(student, named)):
                    yield Cell("usage", *place), usage

    def _constructed(self, kind: Kind, network: Stage, title: str) -> Stage:
        return self.make.construct(kind, network, "train", title)

    def _transfer(self, source: str) -> Iterator[tuple[Cell, Stage]]:
        for aim in TRANSFER_AIMS:
            title = f"{aim} test images of {source}"
            attacked = self.make.construct(aim, self.sources[source], "test", title)
            yield Cell("attacked", self.seed, source, "", aim), attacked
            for target, network in self.standard.items():
                judged = self.make.evaluate(network, attacked, f"standard {target} on {title}")
                yield Cell("transfer", self.seed, source, target, aim), judged
