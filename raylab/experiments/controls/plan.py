"""Controls that say what the accuracy of a constructed set is worth, each with a sign that is expected of it.

Leakage without features (Jordan, cifar10-zoo), robust features alone (Goh), perturbations without features (Nakkiran;
both in the Distill discussion of 2019), universal perturbations (Park et al. 2021), and a robust source over the radius
(Ilyas et al. 2019, tables 9 and 10).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from raylab.core.construct import Kind
from raylab.core.seeding import derive
from raylab.experiments.controls.config import Bugs, ControlStudy, RobustCurve
from raylab.stage import Stage
from raylab.stages.construction import Attack, construct
from raylab.stages.dataset import Data, Split, open_data
from raylab.stages.evaluation import evaluate
from raylab.stages.leakage import robust_features
from raylab.stages.patterns import patterned, random_patterns, universal_patterns
from raylab.stages.recipe import Recipe, with_epochs
from raylab.stages.training import Keep, train


class Cell(NamedTuple):
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


def plan(config: ControlStudy) -> dict[Cell, Stage]:
    """Every measurement. A seed changes the split or world, all sources, the targets, the patterns and the students.

    Raises ValueError where the data or a network cannot be had as asked; nothing has run then, or after.
    """
    return {cell: stage for seed in config.seeds for cell, stage in _SeedPlan(config, seed).cells()}


class _SeedPlan:
    """The plan of one seed."""

    def __init__(self, config: ControlStudy, seed: int) -> None:
        self.config, self.seed = config, seed
        self.data: Data = open_data(config.data, seed)
        self.source = self._train(config.source, "source", config.train)
        self.robust = self._train(config.source, "robust", config.robust)
        if config.base > self.data.rows["train"]:
            raise ValueError(f"base: at most the {self.data.rows['train']} training images, got {config.base}")

    def cells(self) -> Iterator[tuple[Cell, Stage]]:
        c, seed = self.config, self.seed
        yield Cell("data", seed), self.data.train
        for name, network in (("standard", self.source), ("robust", self.robust)):
            yield Cell("source", seed, name), self._on_test(network, f"{name} source")
        yield Cell("network", seed, "robust"), self.robust
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

    def _by_margin(self) -> Iterator[tuple[Cell, Stage]]:
        attack = at_radius(self.config.attack, self.config.top_eps or self.config.attack.eps)
        made = self._construct("other", attack, self.source, "train", "by margin")
        keeps: tuple[tuple[str, Keep], ...] = (("whole", "all"), ("top", "top"), ("bottom", "bottom"))
        for of, keep in keeps:
            yield from self._student(of, "other", made, keep=keep)

    def _leakage(self) -> Iterator[tuple[Cell, Stage]]:
        c = self.config
        patterns = random_patterns(
            self.data.images, c.attack.eps, c.attack.norm, self.seed, f"random patterns seed {self.seed}"
        )
        selector = self._train(c.source, "selector", with_epochs(c.train, c.selector_epochs))
        for kind in c.kinds:
            yield from self._patterned("leakage", kind, patterns, None if kind == "rand" else selector)

    def _universal(self) -> Iterator[tuple[Cell, Stage]]:
        c = self.config
        patterns = universal_patterns(
            c.attack,
            self.data.train,
            self.source,
            c.base,
            self.data.images,
            self.seed,
            name=f"universal perturbations of {c.source} seed {self.seed}",
        )
        for kind in c.kinds:
            yield from self._patterned("universal", kind, patterns, None, everywhere=True)

    def _patterned(
        self, of: str, kind: Kind, patterns: Stage, selector: Stage | None, *, everywhere: bool = False
    ) -> Iterator[tuple[Cell, Stage]]:
        made = patterned(
            kind,
            patterns,
            self.data.train,
            selector,
            self.data.images,
            self.seed,
            "train",
            self.config.compute,
            everywhere=everywhere,
            rows=self.data.rows["train"],
            name=f"{of} {kind} seed {self.seed}",
        )
        yield from self._student(of, kind, made)

    def _features(self, real: dict[Kind, Stage]) -> Iterator[tuple[Cell, Stage]]:
        c, seed = self.config, self.seed
        linear = self._train("linear", "robust", c.robust)
        yield Cell("network", seed, "robust linear"), linear
        eps = c.robust.adversary.eps if c.robust.adversary else 0.0
        for kind, made in real.items():
            for of, network in (("linear", linear), ("deep", self.robust)):
                probe = robust_features(
                    network,
                    made,
                    self.data.test,
                    "logits" if of == "linear" else "penultimate",
                    eps,
                    self.data.images,
                    rows=self.data.rows["train"],
                    name=f"robust {of} features of {kind} seed {seed}",
                )
                yield Cell("features", seed, of, kind), probe

    def _bugs(self, bugs: Bugs) -> Iterator[tuple[Cell, Stage]]:
        seed = self.seed
        source = self._train(bugs.source, "bugs source", bugs.train)
        fresh = self._train(bugs.student, "independent", bugs.train)  # never in the ensemble
        ensemble = tuple(self._train(name, f"ensemble {place}", bugs.train) for place, name in enumerate(bugs.ensemble))
        yield Cell("source", seed, "bugs"), self._on_test(source, "source of bugs")
        for of, spared in (("plain", ()), ("bugs", ensemble)):
            made = self._construct("det", bugs.attack, source, "train", of, spared)
            yield from self._student(of, "det", made, network=bugs.student, recipe=bugs.train)
            attacked = self._construct("det", bugs.attack, source, "test", of, spared)
            judged = evaluate(
                fresh, attacked, self.config.compute, rows=self.data.rows["test"], name=f"{of} transfer seed {seed}"
            )
            yield Cell("transfer", seed, of), judged

    def _curve(self, curve: RobustCurve) -> Iterator[tuple[Cell, Stage]]:
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
    ) -> Iterator[tuple[Cell, Stage]]:
        """A set, and its student on the test images. Students of one architecture begin alike."""
        c, title = self.config, f"student of {of} {kind}{f' eps {eps:g}' if eps else ''}"
        if keep == "all":
            yield Cell("set", self.seed, of, kind, eps), made
        student = self._train(network or c.student, "student", recipe or c.train, made, keep, title)
        yield Cell("student", self.seed, of, kind, eps), self._on_test(student, title)

    def _train(
        self, name: str, role: str, recipe: Recipe, made: Stage | None = None, keep: Keep = "all", title: str = ""
    ) -> Stage:
        return train(
            name,
            recipe.model_copy(update={"lr": self.config.network_lr.get(name, recipe.lr)}),
            made or self.data.train,
            self.data.images,
            derive(self.seed, f"{role}/{name}"),
            keep=keep,
            keep_share=self.config.top_share,
            rows=self.data.rows["train"],
            name=f"train {title or f'{role} {name}'} seed {self.seed}",
        )

    def _construct(
        self, kind: Kind, attack: Attack, source: Stage, split: Split, title: str, ensemble: tuple[Stage, ...] = ()
    ) -> Stage:
        return construct(
            kind,
            attack,
            self.data.train if split == "train" else self.data.test,
            source,
            self.data.images,
            self.seed,
            split,
            self.config.compute,
            ensemble=ensemble,
            rows=self.data.rows[split],
            name=f"{title} {kind} {split} seed {self.seed}",
        )

    def _on_test(self, network: Stage, title: str) -> Stage:
        rows = self.data.rows["test"]
        return evaluate(network, self.data.test, self.config.compute, rows=rows, name=f"test {title} seed {self.seed}")


def at_radius(attack: Attack, eps: float) -> Attack:
    """The attack at another radius, its steps in proportion."""
    step_size = None if attack.step_size is None else attack.step_size * eps / attack.eps
    return attack.model_copy(update={"eps": eps, "step_size": step_size})
