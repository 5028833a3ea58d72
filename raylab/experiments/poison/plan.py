"""D_det read as a poison: images moved towards another class, labels kept.  (Tao et al. 2021; Nakkiran, Distill 2019)

Five poisons that change no label, victims trained in the standard way and adversarially, and a planted trigger.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, get_args

from raylab.core.poison import SHIFTS, PoisonName
from raylab.core.seeding import derive
from raylab.experiments.poison.config import PoisonStudy, Trigger
from raylab.stage import Stage
from raylab.stages.construction import Aim, construct
from raylab.stages.dataset import Data, Split, open_data, probe
from raylab.stages.evaluation import evaluate
from raylab.stages.neighbours import neighbours
from raylab.stages.oracles import read_oracles
from raylab.stages.patterns import universal_patterns
from raylab.stages.poison import noise_patterns, poisoned
from raylab.stages.recipe import Recipe
from raylab.stages.robustness import Robustness, robustness
from raylab.stages.training import train
from raylab.stages.trigger import Way, triggered

__all__ = ["CLEAN", "DEFENCES", "Cell", "Defence", "PoisonStudy", "Trigger", "plan"]

CLEAN = "clean"
Defence = Literal["standard", "adversarial"]
DEFENCES: tuple[Defence, ...] = get_args(Defence)
AIMS: dict[PoisonName, Aim] = {"p1": "det", "p2": "own"}
PROBES = 1000  # images that show which feature decides


class Cell(NamedTuple):
    """One thing that is measured. Roles, and which of the other fields they use:

    data        -                  the clean training set
    source      -                  the network that the poisons are made with, on the test set
    attack      of                 the constructed set behind p1 (D_det) and p2
    set         of share           a poisoned training set; of: "p1" ... "p5"; with a trigger: a way, `eps`
    network     of defence share   a victim
    victim      of defence share   on the clean test images; of: "clean" too; with a trigger: a way, `eps`
    heldout     of defence         on test images that are poisoned alike
    robust      of defence         its robust accuracy on clean test images
    usage       of defence         See-Far: on images whose features disagree
    neighbours  of                 the 1-nearest-neighbour check of a set; of "clean": the check's own accuracy
    oracles     of                 See-Far: what a set's images show
    obeys       of defence eps     on test images that all have the trigger; of: a way, or "clean", who never saw it
    """

    role: str
    seed: int
    of: str = ""
    defence: str = ""
    share: float = 1.0
    eps: float = 0.0


def plan(config: PoisonStudy) -> dict[Cell, Stage]:
    """Every measurement. A seed changes the split or world, the source, the victims, the noise and who is poisoned.

    Raises ValueError where the data or a network cannot be had as asked; nothing has run then, or after.
    """
    return {cell: stage for seed in config.seeds for cell, stage in _SeedPlan(config, seed).cells()}


class _SeedPlan:
    """The plan of one seed."""

    def __init__(self, config: PoisonStudy, seed: int) -> None:
        self.config, self.seed = config, seed
        self.data: Data = open_data(config.data, seed)
        self.images = self.data.images
        # As in the transfer matrix and the controls: with their attack and recipe, P1 is made of their very D_det.
        self.source = self._train(config.source, config.train, self.data.train, "source", "source")
        if config.base > self.data.rows["train"]:
            raise ValueError(f"base: at most the {self.data.rows['train']} training images, got {config.base}")

    def cells(self) -> Iterator[tuple[Cell, Stage]]:
        c, seed = self.config, self.seed
        yield Cell("data", seed), self.data.train
        yield Cell("source", seed), self._on_test(self.source, "source")
        yield from self._victims(CLEAN, self.data.train)
        if c.neighbours:
            yield Cell("neighbours", seed, CLEAN), self._neighbours(self.data.train, "clean images")
        for name in c.poisons:
            made = self._poison(name, "train")
            yield Cell("set", seed, name), made
            if name not in SHIFTS:
                yield Cell("attack", seed, name), made.inputs["perturbed"]
            if c.neighbours:
                yield Cell("neighbours", seed, name), self._neighbours(made, name)
            if self.data.world is not None:
                rows = self.data.rows["train"]
                oracles = read_oracles(made, self.data.world, c.compute, rows=rows, name=f"oracles on {name}")
                yield Cell("oracles", seed, name), oracles
            yield from self._victims(name, made, heldout=self._poison(name, "test"))
        for share in c.shares:
            made = self._poison("p1", "train", share)
            yield Cell("set", seed, "p1", share=share), made
            for defence in DEFENCES:
                network = self._victim(defence, made, f"{share:.0%} of p1")
                yield Cell("network", seed, "p1", defence, share), network
                yield Cell("victim", seed, "p1", defence, share), self._on_test(network, f"{defence} {share:.0%} p1")
        if c.trigger is not None:
            for eps in c.trigger.eps:
                yield from self._triggered(c.trigger, eps)

    def _victims(self, of: str, made: Stage, heldout: Stage | None = None) -> Iterator[tuple[Cell, Stage]]:
        """Both trainings on one set, and what is asked of the networks."""
        c, seed = self.config, self.seed
        for defence in DEFENCES:
            network, title = self._victim(defence, made, of), f"{defence} victim of {of}"
            yield Cell("network", seed, of, defence), network
            yield Cell("victim", seed, of, defence), self._on_test(network, title)
            if heldout is not None:
                yield Cell("heldout", seed, of, defence), self._on_test(network, f"{title}, poisoned", heldout)
            if c.robustness is not None and defence == "adversarial":
                yield Cell("robust", seed, of, defence), self._robustness(c.robustness, network, title)
            if self.data.world is not None:
                shown = probe(self.data.world, "conflict", PROBES)
                usage = evaluate(network, shown, c.compute, rows=PROBES, name=f"usage of {title} seed {seed}")
                yield Cell("usage", seed, of, defence), usage

    def _triggered(self, trigger: Trigger, eps: float) -> Iterator[tuple[Cell, Stage]]:
        seed = self.seed
        shown = self._plant(trigger, "all", eps, 1.0, "test")
        for defence in DEFENCES:
            network = self._victim(defence, self.data.train, CLEAN)
            judged = self._on_test(network, f"{defence}, trigger {eps:g} never seen", shown)
            yield Cell("obeys", seed, CLEAN, defence, eps=eps), judged
        for way in trigger.ways:
            made = self._plant(trigger, way, eps, trigger.share(way), "train")
            yield Cell("set", seed, way, eps=eps), made
            for defence in DEFENCES:
                title = f"{way} trigger {eps:g}"
                network = self._victim(defence, made, title)
                yield Cell("network", seed, way, defence, eps=eps), network
                yield Cell("victim", seed, way, defence, eps=eps), self._on_test(network, f"{defence} {title}")
                judged = self._on_test(network, f"{defence} {title} shown", shown)
                yield Cell("obeys", seed, way, defence, eps=eps), judged

    def _poison(self, name: PoisonName, split: Split, share: float = 1.0) -> Stage:
        c = self.config
        data = self.data.train if split == "train" else self.data.test
        shift = SHIFTS.get(name)
        by = self._attacked(name, data, split) if shift is None else self._patterns(name)
        title = f"{name} {split}{'' if share == 1 else f' {share:.0%}'} seed {self.seed}"
        rows = self.data.rows[split]
        return poisoned(by, data, self.images, self.seed, c.compute, shift=shift, share=share, rows=rows, name=title)

    def _attacked(self, name: PoisonName, data: Stage, split: Split) -> Stage:
        c, aim = self.config, AIMS[name]
        return construct(
            aim,
            c.attack,
            data,
            self.source,
            self.images,
            self.seed,
            split,
            c.compute,
            rows=self.data.rows[split],
            name=f"{aim} {split} seed {self.seed}",
        )

    def _patterns(self, name: PoisonName) -> Stage:
        c, seed = self.config, self.seed
        if name == "p5":
            return noise_patterns(self.images, c.attack.eps, c.attack.norm, seed, f"noise a class seed {seed}")
        return universal_patterns(
            c.attack,
            self.data.train,
            self.source,
            c.base,
            self.images,
            seed,
            name=f"universal perturbations of {c.source} seed {seed}",
        )

    def _plant(self, trigger: Trigger, way: Way | Literal["all"], eps: float, share: float, split: Split) -> Stage:
        return triggered(
            way,
            self.data.train if split == "train" else self.data.test,
            self.images,
            self.seed,
            self.config.compute,
            norm=self.config.attack.norm,
            eps=eps,
            side=trigger.side,
            target=trigger.target,
            share=share,
            rows=self.data.rows[split],
            name=f"trigger {eps:g} {way} {split} seed {self.seed}",
        )

    def _victim(self, defence: Defence, made: Stage, of: str) -> Stage:
        """Victims of one training begin alike, whatever they are trained on."""
        c = self.config
        return self._train(
            c.victim, c.train if defence == "standard" else c.robust, made, "victim", f"{defence} on {of}"
        )

    def _train(self, network: str, recipe: Recipe, made: Stage, role: str, title: str) -> Stage:
        return train(
            network,
            recipe,
            made,
            self.images,
            derive(self.seed, f"{role}/{network}"),
            rows=self.data.rows["train"],
            name=f"train {network} {title} seed {self.seed}",
        )

    def _on_test(self, network: Stage, title: str, shown: Stage | None = None) -> Stage:
        rows = self.data.rows["test"]
        name = f"test {title} seed {self.seed}"
        return evaluate(network, shown or self.data.test, self.config.compute, rows=rows, name=name)

    def _neighbours(self, made: Stage, title: str) -> Stage:
        rows = self.data.rows["train"]
        fraction = min(1.0, self.config.neighbours / rows)
        name = f"1-NN of {title} seed {self.seed}"
        return neighbours(made, self.data.train, fraction, self.config.compute, rows=rows, name=name)

    def _robustness(self, config: Robustness, network: Stage, title: str) -> Stage:
        rows = self.data.rows["test"]
        if config.rows is not None and config.rows >= rows:
            config = config.model_copy(update={"rows": None})
        name = f"robustness of {title} seed {self.seed}"
        return robustness(
            config, network, self.data.test, self.images, self.seed, self.config.compute, rows=rows, name=name
        )
