"""The planet Erm: which features do networks rely on?  (the story of Ilyas et al. 2019, in a world of known features)

Its people tell classes by a robust feature and by a non-robust one. To them an image that was perturbed towards a class
shows that class; to those who only see robust features nothing has changed. Networks that were trained in different
ways stand for both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from raylab.bench import PROBE_ROWS, Bench
from raylab.core.seefar import PROBES
from raylab.engine.stage import Compute, Stage
from raylab.experiments import robust, worlds
from raylab.experiments import transfer as transfer_matrix
from raylab.experiments.erm.config import DigitsPanels, Dimension, Erm, Explain, MoreData, Restricted
from raylab.experiments.robust import RobustFeatures
from raylab.experiments.transfer import Controls, TransferMatrix
from raylab.stages.dataset import SeeFarData, probe
from raylab.stages.explanations import explain, read_perturbations
from raylab.stages.recipe import Recipe, with_epochs
from raylab.stages.robustness import Robustness

SILENT = 0.1  # reliability of a non-robust feature that says nothing of ten classes
SIZE = 16  # pixels a side of the world itself
TOOGITS, NO_TOOGITS = "toogits", "no toogits"  # worlds with and without non-robust features that tell the class
# By what they were trained on, in the order of the story; the last three are those of `restricted`.
NETWORKS = ("standard", "robust", "rand", "det", "clean", "r_image", "nr_image")
EXPLAINED = ("standard", "robust", "det", "r_image")


class ErmCell(NamedTuple):
    """One thing that is measured. Roles, and which of the other fields they use:

    data          part                 the training set (of "digits", "usage")
    set           part                 its D_det
    network       usage network        a network, one of NETWORKS
    test          usage network        it on the test set
    usage         usage network kind   it on one of the probes: images whose features disagree, or with one alone
    oracles       usage kind           both oracles on a probe, on the clean test images ("test") or on D_det ("det")
    perturbation  usage                where what the attack added to D_det lies
    judged        part                 what the robust network says of D_det
    explanation   explain network      where the network's gradients lie
    test          part kind size       a standard network; kind is the world, "toogits" or "no toogits"; size is that of
    robust        part kind size       the training set in part "more_data", of an image in "dimension"
    usage         part kind size
    """

    role: str
    part: str
    seed: int
    network: str = ""
    kind: str = ""
    size: int = 0


Cells = Iterator[tuple[ErmCell, Stage]]


def plan(config: Erm) -> dict[ErmCell | worlds.WorldsCell, Stage]:
    """Every measurement. A seed changes the world, or the split of digits, and all networks.

    Raises ValueError where the data or a network cannot be had as asked; nothing has run then, or after.
    """
    found: dict[ErmCell | worlds.WorldsCell, Stage] = {}
    if config.data is not None:
        for seed in config.seeds:
            found |= dict(_SeedPlan(config, config.data, seed).cells())
    if config.digits is not None:
        found |= dict(_digits(config.digits, config.compute))
    return found | (dict(worlds.plan(config.worlds)) if config.worlds is not None else {})


def transfer(config: Erm, data: SeeFarData) -> TransferMatrix:
    """Where the standard and the robust network, D_rand, D_det and their students come from."""
    return TransferMatrix(
        study=config.study,
        data=data,
        sources=(config.network,),
        targets=(config.network,),
        seeds=config.seeds,
        attack=config.attack,
        train=config.train,
        controls=Controls(unperturbed=False, random_labels=False, untrained=False, leakage=None),
        robustness=None,
        neighbours=0,
    )


def restricted(config: Erm, part: Restricted, data: SeeFarData) -> RobustFeatures:
    """Where the networks that were trained on D_R and D_NR come from."""
    return RobustFeatures(
        study=config.study,
        data=data.model_copy(update={"train_rows": part.train_rows}),
        source=part.network,
        students=(part.network,),
        sets=("r_image", "nr_image"),
        seeds=config.seeds,
        train=part.train,
        adversarial=part.adversarial,
        student=part.student,
        from_image=part.inversion,
        robustness=RobustFeatures().robustness.model_copy(update={"rows": None}),  # of what is not asked for here
    )


class _SeedPlan:
    """The plan of one world."""

    def __init__(self, config: Erm, given: SeeFarData, seed: int) -> None:
        self.config, self.given, self.seed = config, given, seed
        self.bench = Bench.open(given, seed, config.compute)

    def cells(self) -> Cells:
        networks, made = self._networks()
        yield from self._sets(made, networks["robust"][0])
        for name, (network, compute) in networks.items():
            yield from self._used(name, network, compute)
        if self.config.explain:
            yield from self._explained(self.config.explain, networks)
        if self.config.more_data:
            yield from self._more_data(self.config.more_data)
        if self.config.dimension:
            yield from self._dimension(self.config.dimension)

    def _networks(self) -> tuple[dict[str, tuple[Stage, Compute]], Stage]:
        """By what they were trained on, with the batches of the experiment that has them too; and D_det."""
        c, seed, name = self.config, self.seed, self.config.network
        matrix = transfer(c, self.given).model_copy(update={"seeds": (seed,)})
        cells, cell = transfer_matrix.plan(matrix), transfer_matrix.TransferCell
        found = {
            "standard": cells[cell("network", seed, target=name)],
            "robust": cells[cell("network", seed, name, control="robust")],
            "rand": cells[cell("network", seed, name, name, "rand")],
            "det": cells[cell("network", seed, name, name, "det")],
        }
        networks = {of: (network, matrix.compute) for of, network in found.items()}
        if c.restricted is not None:
            sets = restricted(c, c.restricted, self.given).model_copy(update={"seeds": (seed,)})
            planned = robust.plan(sets)
            for of in ("clean", "r_image", "nr_image"):
                of_set = robust.RobustCell("network", seed, of, c.restricted.network)
                networks[of] = planned[of_set], sets.compute
        return networks, cells[cell("set", seed, name, "", "det")]

    def _sets(self, made: Stage, robust: Stage) -> Cells:
        """What the oracles, a robust network and a ruler see in clean images, in the probes and in D_det."""
        seed, bench, data = self.seed, self.bench, self.bench.data
        yield ErmCell("data", "usage", seed), data.train
        yield ErmCell("set", "usage", seed), made
        shown = {kind: (probe(bench.world, kind), PROBE_ROWS) for kind in PROBES}
        shown |= {"test": (data.test, data.rows["test"]), "det": (made, data.rows["train"])}
        for kind, (images, rows) in shown.items():
            read = bench.oracles(images, f"{kind} images seed {seed}", rows)
            yield ErmCell("oracles", "usage", seed, kind=kind), read
        rows, title = data.rows["train"], f"perturbations of det seed {seed}"
        lies = read_perturbations(made, data.train, bench.world, bench.compute, rows=rows, name=title)
        yield ErmCell("perturbation", "usage", seed), lies
        yield ErmCell("judged", "usage", seed), bench.on(robust, made, f"robust network on det seed {seed}", rows)

    def _used(self, name: str, network: Stage, compute: Compute) -> Cells:
        seed, bench = self.seed, replace(self.bench, compute=compute)
        yield ErmCell("network", "usage", seed, name), network
        yield ErmCell("test", "usage", seed, name), bench.on_test(network, name)
        for kind in PROBES:
            said = bench.on_probe(network, f"feature reliance of {name}, {kind}, seed {seed}", kind)
            yield ErmCell("usage", "usage", seed, name, kind), said

    def _explained(self, part: Explain, networks: dict[str, tuple[Stage, Compute]]) -> Cells:
        for name in [name for name in EXPLAINED if name in networks]:
            network, test, world = networks[name][0], self.bench.data.test, self.bench.world
            how = (part.sigmas, part.draws, part.rows, self.seed, self.config.compute)
            found = explain(network, test, world, *how, name=f"explanation of {name} seed {self.seed}")
            yield ErmCell("explanation", "explain", self.seed, name), found

    def _more_data(self, part: MoreData) -> Cells:
        for kind, given in self._worlds().items():
            for rows in part.rows:
                recipe = with_epochs(part.train, max(1, part.passes // rows))
                world = given.model_copy(update={"train_rows": rows})
                yield from self._standard("more_data", kind, rows, part.network, recipe, world)

    def _dimension(self, part: Dimension) -> Cells:
        """Patterns whose strength is that of a pixel get less of it, so that their norms stay."""
        for kind, given in self._worlds().items():
            for size in part.sizes:
                scale = SIZE / size
                changed = {
                    "size": None if size == SIZE else size,
                    "shape_amplitude": given.shape_amplitude * scale,
                    "clutter": given.clutter * scale,
                }
                world = given.model_copy(update=changed)
                yield from self._standard("dimension", kind, size, part.network, self.config.train, world)

    def _worlds(self) -> dict[str, SeeFarData]:
        """This one, and the same whose non-robust features say nothing: that alone where they say nothing here."""
        silent = self.given.model_copy(update={"toogit_reliability": SILENT})
        return {NO_TOOGITS: silent} if silenced(self.given) else {TOOGITS: self.given, NO_TOOGITS: silent}

    def _standard(self, part: str, kind: str, size: int, name: str, recipe: Recipe, given: SeeFarData) -> Cells:
        """A standard network of one world: accuracy, feature reliance, and robust accuracy."""
        c, bench = self.config, Bench.open(given, self.seed, self.config.compute)
        place, title = ErmCell("", part, self.seed, kind=kind, size=size), f"standard {name}, {kind}, {part} {size},"
        network = bench.train(name, recipe, "standard", called=title)
        yield place._replace(role="test"), bench.on_test(network, title)
        yield place._replace(role="usage"), bench.on_probe(network, f"feature reliance of {title} seed {self.seed}")
        asked = Robustness(eps=c.eps, ensemble=None, rows=c.attacked_rows)
        yield place._replace(role="robust"), bench.robustness_of_some(asked, network, title)


def silenced(data: SeeFarData) -> bool:
    """Whether the non-robust features of a world tell nothing."""
    return data.toogit_amplitude == 0.0 or data.toogit_reliability <= SILENT


def _digits(part: DigitsPanels, compute: Compute) -> Cells:
    """D_det of digits and what a robust network says of it, as transfer_matrix has them."""
    seed, cell = part.seed, transfer_matrix.TransferCell
    matrix = TransferMatrix(
        data=part.data,
        sources=(part.network,),
        targets=(part.network,),
        kinds=("det",),
        seeds=(seed,),
        attack=part.attack,
        train=part.train,
        controls=Controls(unperturbed=False, random_labels=False, untrained=False, leakage=None),
        robustness=None,
        neighbours=0,
    )
    cells, bench = transfer_matrix.plan(matrix), Bench.open(part.data, seed, compute)
    made = cells[cell("set", seed, part.network, "", "det")]
    robust = cells[cell("network", seed, part.network, control="robust")]
    yield ErmCell("data", "digits", seed), bench.data.train
    yield ErmCell("set", "digits", seed), made
    said = bench.on(robust, made, f"robust network on digits seed {seed}", bench.data.rows["train"])
    yield ErmCell("judged", "digits", seed), said
