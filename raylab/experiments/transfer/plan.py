"""Do the perturbations of one network teach another?  (Ilyas et al. 2019, section 3.2 and figure 3)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from raylab.bench import Bench
from raylab.core.construct import Kind
from raylab.core.seeding import derive
from raylab.engine.stage import Stage
from raylab.experiments.transfer.config import TransferMatrix
from raylab.stages.construction import Aim
from raylab.stages.dataset import Split
from raylab.stages.patterns import random_patterns
from raylab.stages.recipe import Recipe
from raylab.stages.training import Keep


class TransferCell(NamedTuple):
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
    further     as source, standard or student, on the further test images that `on` names
    metric      likewise: the measure of one's own that `on` names, on the test images
    """

    role: str
    seed: int
    source: str = ""
    target: str = ""
    kind: str = ""
    control: str = ""  # "", "unperturbed", "random_labels", "untrained", "robust", "leakage"
    on: str = ""


TESTED = ("source", "standard", "student")  # roles of evaluations on the test images
TRANSFER_AIMS: tuple[Aim, ...] = ("untargeted", "det")


def plan(config: TransferMatrix) -> dict[TransferCell, Stage]:
    """Every measurement of the matrix. A seed changes the split or world, the sources, their targets and the students:
    sources differ from each other more than students do.

    Raises ValueError where the data or a network cannot be had as asked; nothing has run then, or after.
    """
    cells: dict[TransferCell, Stage] = {}
    for seed in config.seeds:
        of_seed = _SeedPlan(config, seed)
        cells |= (tested := dict(of_seed.cells()))
        cells |= dict(of_seed.further(tested))
    return cells


class _SeedPlan:
    """The plan of one seed."""

    def __init__(self, config: TransferMatrix, seed: int) -> None:
        self.config, self.seed = config, seed
        self.bench = Bench.open(config.data, seed, config.compute, config.network_lr)
        self.standard = {name: self.bench.train(name, config.train, "standard") for name in config.targets}
        self.sources = {name: self.bench.source(name, config.train) for name in config.sources}

    def cells(self) -> Iterator[tuple[TransferCell, Stage]]:
        c, seed, bench = self.config, self.seed, self.bench
        yield TransferCell("data", seed), bench.data.train
        for target, network in self.standard.items():
            yield TransferCell("network", seed, target=target), network
            yield TransferCell("standard", seed, target=target), bench.on_test(network, f"standard {target}")
            if c.robustness is not None and any(c.controls.beside(source, target) for source in c.sources):
                asked = bench.robustness_of_some(c.robustness, network, f"standard {target}")
                yield TransferCell("robustness", seed, target=target), asked
        if c.neighbours:
            yield TransferCell("neighbours", seed), bench.neighbours(bench.data.train, c.neighbours, "clean images")
        for source, network in self.sources.items():
            yield TransferCell("network", seed, source), network
            yield TransferCell("source", seed, source), bench.on_test(network, f"source {source}")
            yield from self._transfer(source)
            yield from self._students(source, network, c.targets)
        if c.controls.unperturbed:
            yield from self._unperturbed()
        for control in c.controls.of_sources:
            for source in _among(c.sources, c.controls.sources):
                yield from self._control(source, control)

    def further(self, cells: Mapping[TransferCell, Stage]) -> Iterator[tuple[TransferCell, Stage]]:
        """Whatever was tested, on the other test images, and by the measures of one's own."""
        c, tested = self.config, {cell: stage for cell, stage in cells.items() if cell.role in TESTED}
        yield from self.bench.on_further(c.evaluate_on, tested)
        for name, metric in (c.metrics or {}).items():
            for cell, stage in tested.items():
                measured = self.bench.own_metric(metric, stage.inputs["model"], f"{name}: {stage.name}")
                yield cell._replace(role="metric", on=name), measured

    def _unperturbed(self) -> Iterator[tuple[TransferCell, Stage]]:
        """Clean images with the labels of a set, and where only some examples of a set are kept, the same of them: an
        attack towards the own class succeeds most often, so a selection alone can be learned from."""
        c = self.config
        for source in c.sources:
            yield from self._unperturbed_own(source)
        for kind in c.kinds:
            for source in c.sources if c.keep != "all" else ("",):
                title = f"unperturbed {kind}{f' as kept from {source}' if source else ''}"
                made = self._construct(kind, self.sources[source], "train", f"{kind} from {source}") if source else None
                for target in c.targets:
                    student = self.bench.train(
                        target,
                        self._recipe(kind),
                        "student",
                        of=title,
                        labels=kind,
                        labels_seed=self.seed,
                        keep="all" if made is None else c.keep,
                        keep_share=c.keep_share,
                        kept_as=made,
                    )
                    place = (self.seed, source, target, kind, "unperturbed")
                    yield TransferCell("network", *place), student
                    yield TransferCell("student", *place), self.bench.on_test(student, f"{target} on {title}")

    def _control(self, source: str, control: str) -> Iterator[tuple[TransferCell, Stage]]:
        """A source that a control is named after, and its students; the robust one also under the attack itself."""
        c, seed = self.config, self.seed
        network = self._control_source(source, control)
        yield TransferCell("network", seed, source, control=control), network
        if control == "robust":
            tested = self.bench.on_test(network, f"robust source {source}")
            yield TransferCell("source", seed, source, control=control), tested
            attacked = self._construct("untargeted", network, "test", f"untargeted test images of robust {source}")
            yield TransferCell("attacked", seed, source, "", "untargeted", control), attacked
        yield from self._students(source, network, _among(c.targets, c.controls.targets), control)

    def _students(
        self, source: str, network: Stage, targets: tuple[str, ...], control: str = ""
    ) -> Iterator[tuple[TransferCell, Stage]]:
        c, seed, bench = self.config, self.seed, self.bench
        leaking, known = control == "leakage", bench.data.world is not None and not control
        for kind, title, made in self._sets(source, network, control):
            yield TransferCell("set", seed, source, "", kind, control), made
            if c.neighbours and not control:
                yield TransferCell("neighbours", seed, source, "", kind), bench.neighbours(made, c.neighbours, title)
            if known:
                yield TransferCell("oracles", seed, source, "", kind), bench.oracles(made, title)
            for target in targets:
                place, named = (seed, source, target, kind, control), f"{target} on {title}"
                # Nothing attacked the set that leaks: whatever `keep` says of attacks, all of it is kept.
                keep: Keep = "all" if leaking else c.keep
                student = bench.train(
                    target, self._recipe(kind), "student", made, of=title, keep=keep, keep_share=c.keep_share
                )
                yield TransferCell("network", *place), student
                yield TransferCell("student", *place), bench.on_test(student, named)
                if c.robustness is not None and not control and c.controls.beside(source, target):
                    yield TransferCell("robustness", *place), bench.robustness_of_some(c.robustness, student, named)
                if known:
                    yield TransferCell("usage", *place), bench.on_probe(student, f"feature reliance of {named}")

    def _transfer(self, source: str) -> Iterator[tuple[TransferCell, Stage]]:
        for aim in TRANSFER_AIMS:
            title = f"{aim} test images of {source}"
            attacked = self._construct(aim, self.sources[source], "test", title)
            yield TransferCell("attacked", self.seed, source, "", aim), attacked
            for target, network in self.standard.items():
                judged = self.bench.on(network, attacked, f"standard {target} on {title}")
                yield TransferCell("transfer", self.seed, source, target, aim), judged

    def _recipe(self, kind: str) -> Recipe:
        return getattr(self.config.students, kind, None) or self.config.train

    def _control_source(self, name: str, control: str) -> Stage:
        c = self.config
        return self.bench.train(
            name,
            c.controls.recipe(control, c.train, c.attack),
            control,
            called=f"{control} source {name}",
            labels="rand" if control == "random_labels" else None,
            labels_seed=derive(self.seed, "random labels"),  # not those of D_rand, which its students are given
        )

    def _sets(self, source: str, network: Stage, control: str = "") -> Iterator[tuple[str, str, Stage]]:
        """Kind, title and stage of every constructed training set; those of one's own have no leakage-only control."""
        c, leaking, named = self.config, control == "leakage", f"{control} {source}".strip()
        for kind in c.kinds:
            title = f"{kind} from {named}"
            made = self._leaking(kind, network, title) if leaking else self._construct(kind, network, "train", title)
            yield kind, title, made
        for name, construction in {} if leaking else (c.constructions or {}).items():
            title = f"{name} from {named}"
            yield name, title, self.bench.own_construction(construction, network, title)

    def _unperturbed_own(self, source: str) -> Iterator[tuple[TransferCell, Stage]]:
        """Clean images with the labels that constructions of one's own gave them."""
        c = self.config
        for kind, name, made in self._sets(source, self.sources[source]):
            if kind in c.kinds:
                continue
            title, kept_as = f"unperturbed {name}", None if c.keep == "all" else made
            clean = self.bench.relabelled(made, title)
            for target in c.targets:
                student = self.bench.train(
                    target, self._recipe(kind), "student", clean, of=title,
                    keep=c.keep, keep_share=c.keep_share, kept_as=kept_as,
                )  # fmt: skip
                place = (self.seed, source, target, kind, "unperturbed")
                yield TransferCell("network", *place), student
                yield TransferCell("student", *place), self.bench.on_test(student, f"{target} on {title}")

    def _construct(self, aim: Aim, network: Stage, split: Split, title: str) -> Stage:
        return self.bench.construct(aim, self.config.attack, network, split, title)

    def _leaking(self, kind: Kind, selector: Stage, title: str) -> Stage:
        """The set of the control "leakage"; `rand` needs no selector, for it gives some images their own label."""
        attack, seed = self.config.attack, derive(self.seed, "leakage")
        name = f"random patterns seed {self.seed}"
        patterns = random_patterns(self.bench.images, attack.eps, attack.norm, seed, name)
        return self.bench.patterned(kind, patterns, None if kind == "rand" else selector, title)


def _among(names: tuple[str, ...], chosen: tuple[str, ...] | None) -> tuple[str, ...]:
    """The networks that are chosen by name; None: all."""
    return names if chosen is None else tuple(name for name in names if name in chosen)
