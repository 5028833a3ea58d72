"""D_det read as a poison: images moved towards another class, labels kept.  (Tao et al. 2021; Nakkiran, Distill 2019)

Five poisons that change no label, victims trained in the standard way and adversarially, and a planted trigger.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, get_args

from raylab.bench import Bench, of_seeds
from raylab.core.poison import SHIFTS, PoisonName
from raylab.engine.stage import Stage
from raylab.experiments.poison.config import PoisonStudy, Trigger
from raylab.stages.construction import Aim
from raylab.stages.dataset import Split
from raylab.stages.poison import noise_patterns, poisoned
from raylab.stages.trigger import Way, triggered

__all__ = ["CLEAN", "DEFENCES", "Defence", "PoisonCell", "PoisonStudy", "Trigger", "plan"]

CLEAN = "clean"
Defence = Literal["standard", "adversarial"]
DEFENCES: tuple[Defence, ...] = get_args(Defence)
AIMS: dict[PoisonName, Aim] = {"p1": "det", "p2": "own"}


class PoisonCell(NamedTuple):
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
    further     as victim          on the further test images that `on` names
    obeys       of defence eps     on test images that all have the trigger; of: a way, or "clean", who never saw it
    """

    role: str
    seed: int
    of: str = ""
    defence: str = ""
    share: float = 1.0
    eps: float = 0.0
    on: str = ""


def plan(config: PoisonStudy) -> dict[PoisonCell, Stage]:
    """Every measurement. A seed changes the split or world, the source, the victims, the noise and who is poisoned.

    Raises ValueError where the data or a network cannot be had as asked; nothing has run then, or after.
    """
    return of_seeds((_SeedPlan(config, seed) for seed in config.seeds), config.evaluate_on, "victim")


class _SeedPlan:
    """The plan of one seed."""

    def __init__(self, config: PoisonStudy, seed: int) -> None:
        self.config, self.seed = config, seed
        self.bench = Bench.open(config.data, seed, config.compute)
        self.clean = self.bench.data.train
        # As in the transfer matrix and the controls: with their attack and recipe, P1 is made of their very D_det.
        self.source = self.bench.source(config.source, config.train)

    def cells(self) -> Iterator[tuple[PoisonCell, Stage]]:
        c, seed, bench = self.config, self.seed, self.bench
        yield PoisonCell("data", seed), self.clean
        yield PoisonCell("source", seed), bench.on_test(self.source, "source")
        yield from self._victims(CLEAN, self.clean)
        if c.neighbours:
            yield PoisonCell("neighbours", seed, CLEAN), bench.neighbours(self.clean, c.neighbours, "clean images")
        for name in c.poisons:
            made = self._poison(name, "train")
            yield PoisonCell("set", seed, name), made
            if name not in SHIFTS:
                yield PoisonCell("attack", seed, name), made.inputs["perturbed"]
            if c.neighbours:
                yield PoisonCell("neighbours", seed, name), bench.neighbours(made, c.neighbours, name)
            if bench.data.world is not None:
                yield PoisonCell("oracles", seed, name), bench.oracles(made, name)
            yield from self._victims(name, made, heldout=self._poison(name, "test"))
        for share in c.shares:
            made = self._poison("p1", "train", share)
            yield PoisonCell("set", seed, "p1", share=share), made
            for defence in DEFENCES:
                network = self._victim(defence, made, f"{share:.0%} of p1")
                yield PoisonCell("network", seed, "p1", defence, share), network
                yield (
                    PoisonCell("victim", seed, "p1", defence, share),
                    bench.on_test(network, f"{defence} {share:.0%} p1"),
                )
        if c.trigger is not None:
            for eps in c.trigger.eps:
                yield from self._triggered(c.trigger, eps)

    def _victims(self, of: str, made: Stage, heldout: Stage | None = None) -> Iterator[tuple[PoisonCell, Stage]]:
        """Both trainings on one set, and what is asked of the networks."""
        c, seed, bench = self.config, self.seed, self.bench
        for defence in DEFENCES:
            network, title = self._victim(defence, made, of), f"{defence} victim of {of}"
            yield PoisonCell("network", seed, of, defence), network
            yield PoisonCell("victim", seed, of, defence), bench.on_test(network, title)
            if heldout is not None:
                yield PoisonCell("heldout", seed, of, defence), bench.on_test(network, f"{title}, poisoned", heldout)
            if c.robustness is not None and defence == "adversarial":
                asked = bench.robustness_of_some(c.robustness, network, title)
                yield PoisonCell("robust", seed, of, defence), asked
            if bench.data.world is not None:
                yield (
                    PoisonCell("usage", seed, of, defence),
                    bench.on_probe(network, f"feature reliance of {title} seed {seed}"),
                )

    def _triggered(self, trigger: Trigger, eps: float) -> Iterator[tuple[PoisonCell, Stage]]:
        seed, on_test = self.seed, self.bench.on_test
        shown = self._plant(trigger, "all", eps, 1.0, "test")
        for defence in DEFENCES:
            network = self._victim(defence, self.clean, CLEAN)
            judged = on_test(network, f"{defence}, trigger {eps:g} never seen", shown)
            yield PoisonCell("obeys", seed, CLEAN, defence, eps=eps), judged
        for way in trigger.ways:
            made = self._plant(trigger, way, eps, trigger.share(way), "train")
            yield PoisonCell("set", seed, way, eps=eps), made
            for defence in DEFENCES:
                title = f"{way} trigger {eps:g}"
                network = self._victim(defence, made, title)
                yield PoisonCell("network", seed, way, defence, eps=eps), network
                yield PoisonCell("victim", seed, way, defence, eps=eps), on_test(network, f"{defence} {title}")
                judged = on_test(network, f"{defence} {title} shown", shown)
                yield PoisonCell("obeys", seed, way, defence, eps=eps), judged

    def _poison(self, name: PoisonName, split: Split, share: float = 1.0) -> Stage:
        bench, shift = self.bench, SHIFTS.get(name)
        by = self._attacked(AIMS[name], split) if shift is None else self._patterns(name)
        return poisoned(
            by,
            bench.clean(split),
            bench.images,
            self.seed,
            bench.compute,
            shift=shift,
            share=share,
            rows=bench.data.rows[split],
            name=f"{name} {split}{'' if share == 1 else f' {share:.0%}'} seed {self.seed}",
        )

    def _attacked(self, aim: Aim, split: Split) -> Stage:
        return self.bench.construct(aim, self.config.attack, self.source, split, f"{aim} {split}")

    def _patterns(self, name: PoisonName) -> Stage:
        c, seed = self.config, self.seed
        if name == "p5":
            return noise_patterns(self.bench.images, c.attack.eps, c.attack.norm, seed, f"noise a class seed {seed}")
        return self.bench.universal_patterns(c.attack, self.source, c.base, c.source)

    def _plant(self, trigger: Trigger, way: Way | Literal["all"], eps: float, share: float, split: Split) -> Stage:
        return triggered(
            way,
            self.bench.clean(split),
            self.bench.images,
            self.seed,
            self.config.compute,
            norm=self.config.attack.norm,
            eps=eps,
            side=trigger.side,
            target=trigger.target,
            share=share,
            rows=self.bench.data.rows[split],
            name=f"trigger {eps:g} {way} {split} seed {self.seed}",
        )

    def _victim(self, defence: Defence, made: Stage, of: str) -> Stage:
        """Victims of one training begin alike, whatever they are trained on."""
        c = self.config
        recipe = c.train if defence == "standard" else c.robust
        return self.bench.train(c.victim, recipe, "victim", made, called=f"{c.victim} {defence}", of=of)
