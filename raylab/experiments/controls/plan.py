"""Controls that say what the accuracy of a constructed set is worth, each with a sign that is expected of it.

Leakage without features (Jordan, cifar10-zoo), robust features alone (Goh), perturbations without features (Nakkiran;
both in the Distill discussion of 2019), universal perturbations (Park et al. 2021), and a robust source over the radius
(Ilyas et al. 2019, tables 9 and 10).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from raylab.bench import Bench
from raylab.core.construct import Kind
from raylab.engine.stage import Stage
from raylab.experiments.controls.config import Bugs, ControlStudy, RobustCurve
from raylab.stages.construction import Attack
from raylab.stages.dataset import Split
from raylab.stages.leakage import robust_features
from raylab.stages.patterns import random_patterns
from raylab.stages.recipe import Recipe, with_epochs
from raylab.stages.training import Keep


class ControlsCell(NamedTuple):
    """One thing that is measured. Roles, and which of the other fields they use:

    data      -              the clean training set
    source    of             a source on the test set: "standard", "robust", "bugs"
    network   of             an adversarially trained network: "robust", "robust linear"
    set       of kind eps    a constructed training set; of: "real", "leakage", "universal", "bugs", "plain", "whole"
                             (D_other), "robust", "standard" (the last two with eps: the curve)
    student   of kind eps    a student of it on the test set; also of "top" and "bottom", two parts of "whole"
    features  of kind        a linear classifier on robust features, of the test set; of: "linear", "deep"
    transfer  of             an independent network on test images attacked as the set "bugs" or "plain" was
    """

    role: str
    seed: int
    of: str = ""
    kind: str = ""
    eps: float = 0.0


def plan(config: ControlStudy) -> dict[ControlsCell, Stage]:
    """Every measurement. A seed changes the split or world, all sources, the targets, the patterns and the students.

    Raises ValueError where the data or a network cannot be had as asked; nothing has run then, or after.
    """
    return {cell: stage for seed in config.seeds for cell, stage in _SeedPlan(config, seed).cells()}


class _SeedPlan:
    """The plan of one seed."""

    def __init__(self, config: ControlStudy, seed: int) -> None:
        self.config, self.seed = config, seed
        self.bench = Bench.open(config.data, seed, config.compute, config.network_lr)
        self.source = self.bench.source(config.source, config.train)
        self.robust = self.bench.train(config.source, config.robust, "robust")

    def cells(self) -> Iterator[tuple[ControlsCell, Stage]]:
        c, seed = self.config, self.seed
        yield ControlsCell("data", seed), self.bench.data.train
        for name, network in (("standard", self.source), ("robust", self.robust)):
            yield ControlsCell("source", seed, name), self.bench.on_test(network, f"{name} source")
        yield ControlsCell("network", seed, "robust"), self.robust
        real = {kind: self._construct(kind, c.attack, self.source, "train", "real") for kind in c.kinds}
        for kind, made in real.items():
            yield from self._student("real", kind, made)
        yield from self._by_margin()
        yield from self._leakage()
        yield from self._universal()
        yield from self._features(real)
        if c.bugs is not None:
            yield from self._bugs(c.bugs)
        if c.curve is not None:
            yield from self._curve(c.curve)

    def _by_margin(self) -> Iterator[tuple[ControlsCell, Stage]]:
        attack = at_radius(self.config.attack, self.config.top_eps or self.config.attack.eps)
        made = self._construct("other", attack, self.source, "train", "by margin")
        keeps: tuple[tuple[str, Keep], ...] = (("whole", "all"), ("top", "top"), ("bottom", "bottom"))
        for of, keep in keeps:
            yield from self._student(of, "other", made, keep=keep)

    def _leakage(self) -> Iterator[tuple[ControlsCell, Stage]]:
        c, name = self.config, f"random patterns seed {self.seed}"
        patterns = random_patterns(self.bench.images, c.attack.eps, c.attack.norm, self.seed, name)
        selector = self.bench.train(c.source, with_epochs(c.train, c.selector_epochs), "selector")
        for kind in c.kinds:
            yield from self._patterned("leakage", kind, patterns, None if kind == "rand" else selector)

    def _universal(self) -> Iterator[tuple[ControlsCell, Stage]]:
        c = self.config
        patterns = self.bench.universal_patterns(c.attack, self.source, c.base, c.source)
        for kind in c.kinds:
            yield from self._patterned("universal", kind, patterns, None, everywhere=True)

    def _patterned(
        self, of: str, kind: Kind, patterns: Stage, selector: Stage | None, *, everywhere: bool = False
    ) -> Iterator[tuple[ControlsCell, Stage]]:
        made = self.bench.patterned(kind, patterns, selector, f"{of} {kind}", everywhere=everywhere)
        yield from self._student(of, kind, made)

    def _features(self, real: dict[Kind, Stage]) -> Iterator[tuple[ControlsCell, Stage]]:
        c, seed, bench = self.config, self.seed, self.bench
        linear = bench.train("linear", c.robust, "robust")
        yield ControlsCell("network", seed, "robust linear"), linear
        eps = c.robust.adversary.eps if c.robust.adversary else 0.0
        for kind, made in real.items():
            for of, network in (("linear", linear), ("deep", self.robust)):
                probe = robust_features(
                    network,
                    made,
                    bench.data.test,
                    "logits" if of == "linear" else "penultimate",
                    eps,
                    bench.images,
                    rows=bench.data.rows["train"],
                    name=f"robust {of} features of {kind} seed {seed}",
                )
                yield ControlsCell("features", seed, of, kind), probe

    def _bugs(self, bugs: Bugs) -> Iterator[tuple[ControlsCell, Stage]]:
        seed, bench = self.seed, self.bench
        source = bench.train(bugs.source, bugs.train, "bugs source")
        fresh = bench.train(bugs.student, bugs.train, "independent")  # never in the ensemble
        ensemble = tuple(bench.train(name, bugs.train, f"ensemble {place}") for place, name in enumerate(bugs.ensemble))
        yield ControlsCell("source", seed, "bugs"), bench.on_test(source, "source of bugs")
        for of, spared in (("plain", ()), ("bugs", ensemble)):
            made = self._construct("det", bugs.attack, source, "train", of, spared)
            yield from self._student(of, "det", made, network=bugs.student, recipe=bugs.train)
            attacked = self._construct("det", bugs.attack, source, "test", of, spared)
            yield ControlsCell("transfer", seed, of), bench.on(fresh, attacked, f"{of} transfer seed {seed}")

    def _curve(self, curve: RobustCurve) -> Iterator[tuple[ControlsCell, Stage]]:
        for eps in curve.eps:
            attack = at_radius(self.config.attack, eps)
            for of, source in (("standard", self.source), ("robust", self.robust)):
                made = self._construct("det", attack, source, "train", f"{of} eps {eps:g}")
                yield from self._student(of, "det", made, eps=eps)

    def _student(
        self,
        of: str,
        kind: Kind,
        made: Stage,
        *,
        eps: float = 0.0,
        keep: Keep = "all",
        network: str | None = None,
        recipe: Recipe | None = None,
    ) -> Iterator[tuple[ControlsCell, Stage]]:
        """A set, and its student on the test images. Students of one architecture begin alike."""
        c, title = self.config, f"student of {of} {kind}{f' eps {eps:g}' if eps else ''}"
        if keep == "all":
            yield ControlsCell("set", self.seed, of, kind, eps), made
        student = self.bench.train(
            network or c.student, recipe or c.train, "student", made, called=title, keep=keep, keep_share=c.top_share
        )
        yield ControlsCell("student", self.seed, of, kind, eps), self.bench.on_test(student, title)

    def _construct(
        self, kind: Kind, attack: Attack, source: Stage, split: Split, title: str, ensemble: tuple[Stage, ...] = ()
    ) -> Stage:
        return self.bench.construct(kind, attack, source, split, f"{title} {kind} {split}", ensemble)


def at_radius(attack: Attack, eps: float) -> Attack:
    """The attack at another radius, its steps in proportion."""
    step_size = None if attack.step_size is None else attack.step_size * eps / attack.eps
    return attack.model_copy(update={"eps": eps, "step_size": step_size})
