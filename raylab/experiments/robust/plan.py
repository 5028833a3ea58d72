"""Is robustness a property of the data?  (Ilyas et al. 2019, section 3.1)

D_R holds images that a robust network cannot tell from those of D by its features; D_NR the same with a standard
network. If students that are trained on D_R in the standard way are robust, and those of D and D_NR are not, then
robustness came with the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from raylab.bench import Bench, of_seeds
from raylab.engine.stage import Stage
from raylab.experiments.robust.config import FILTERS, INVERTED, RELEASED, RobustFeatures, SetName
from raylab.stages.dataset import ConstructedData, Split, open_data
from raylab.stages.inversion import invert
from raylab.stages.layer_robustness import LayerRobustness, layer_robustness
from raylab.stages.released import released_network
from raylab.stages.spectrum import with_spectrum_of

CLEAN, ADVERSARIAL, STANDARD = "clean", "adversarial", "standard"  # trained on D: students, references, D_NR's source


class RobustCell(NamedTuple):
    """One thing that is measured. Roles, and which of the other fields they use:

    data        -            the clean training set
    set         set          a constructed training set
    test_set    r_image      the test images, made in the same way
    network     set network  a network trained on a set; also `clean`, `adversarial` (clean, under attack) and
                             `standard` (the source of D_NR)
    test        set network  its answers to the test images
    robust      set network  its robust accuracy there
    own         set network  that of a student of D_R on its own training images, at one eps
    moved       set network  and on the test set made as D_R
    usage       set network  See-Far: its answers to images whose features disagree
    further     set network  as test, on the further test images that `on` names
    layers      set network  how far a small change moves its layers; set: "standard", "adversarial", "r_image"
    """

    role: str
    seed: int
    set: str = ""
    network: str = ""
    on: str = ""


def plan(config: RobustFeatures) -> dict[RobustCell, Stage]:
    """Every measurement. A seed changes the split or world, both sources, the starts of inversions and all students.

    Raises ValueError where the data or a network cannot be had as asked; nothing has run then, or after.
    """
    return of_seeds((_SeedPlan(config, seed) for seed in config.seeds), config.evaluate_on, "test")


class _SeedPlan:
    """The plan of one seed."""

    def __init__(self, config: RobustFeatures, seed: int) -> None:
        self.config, self.seed = config, seed
        self.bench = Bench.open(config.data, seed, config.compute, config.network_lr)
        self.standard = self.bench.source(config.source, config.train, STANDARD)
        self.robust = self._released() or self.bench.train(config.source, config.adversarial, ADVERSARIAL)

    def cells(self) -> Iterator[tuple[RobustCell, Stage]]:
        c, seed = self.config, self.seed
        yield RobustCell("data", seed), self.bench.data.train
        yield RobustCell("network", seed, STANDARD, c.source), self.standard
        yield (
            RobustCell("test", seed, STANDARD, c.source),
            self.bench.on_test(self.standard, f"standard source {c.source}"),
        )
        for name in dict.fromkeys((c.source, *c.references)):
            reference = self.robust if name == c.source else self.bench.train(name, c.adversarial, ADVERSARIAL)
            yield from self._measured(ADVERSARIAL, name, reference)
        sets = self._sets()
        for of, made in sets.items():
            if of != CLEAN:
                yield RobustCell("set", seed, of), made
        moved = self._invert("r_image", "test")
        yield RobustCell("test_set", seed, "r_image"), moved
        for of, made in sets.items():
            for name in c.students:
                student = self._student(name, of, made)
                yield from self._measured(of, name, student)
                if of == "r_image":
                    yield from self._shift(name, student, made, moved)
        if c.layers is not None:
            yield from self._layers(c.layers, sets["r_image"])

    def _sets(self) -> dict[str, Stage]:
        """In the order of SETS, D first."""
        c, wanted = self.config, self.config.sets
        sets = {CLEAN: self.bench.data.train} | {
            name: self._invert(name, "train") for name in INVERTED if name in wanted
        }
        for name, match in FILTERS.items():
            if name in wanted:
                sets[name] = with_spectrum_of(
                    self.bench.data.train,
                    sets["r_image"],
                    c.compute,
                    match=match,
                    rows=self.bench.data.rows["train"],
                    name=f"D {name} as D_R seed {self.seed}",
                )
        for name in RELEASED:
            if name in wanted:
                sets[name] = self._open_released(name)
        return sets

    def _open_released(self, name: SetName) -> Stage:
        config = ConstructedData(name="constructed_datasets", set=RELEASED[name], root=self.config.data.folder_of_data)
        return open_data(config, self.seed).train

    def _released(self) -> Stage | None:
        c = self.config
        if c.released_network is None:
            return None
        return released_network(f"{c.data.folder_of_data}/{c.released_network}", c.source, name=c.released_network)

    def _invert(self, name: SetName, split: Split) -> Stage:
        c, bench = self.config, self.bench
        of, _, start = name.partition("_")
        return invert(
            c.from_image if start == "image" else c.from_noise,
            bench.clean(split),
            self.robust if of == "r" else self.standard,
            bench.data.train if start == "image" else None,
            bench.images,
            self.seed,
            split,
            c.compute,
            rows=bench.data.rows[split],
            name=f"{name} {split} seed {self.seed}",
        )

    def _measured(self, of: str, name: str, network: Stage) -> Iterator[tuple[RobustCell, Stage]]:
        """A network and everything that is asked of it."""
        seed, bench, title = self.seed, self.bench, f"{name} on {of}"
        yield RobustCell("network", seed, of, name), network
        yield RobustCell("test", seed, of, name), bench.on_test(network, title)
        yield RobustCell("robust", seed, of, name), bench.robustness(self.config.robustness, network, title)
        if bench.data.world is not None:
            yield (
                RobustCell("usage", seed, of, name),
                bench.on_probe(network, f"feature reliance of {title} seed {seed}"),
            )

    def _layers(self, config: LayerRobustness, made: Stage) -> Iterator[tuple[RobustCell, Stage]]:
        """The reply to Nakano: of networks of one architecture, so that their layers can be compared."""
        c, seed = self.config, self.seed
        networks = {STANDARD: self.standard, ADVERSARIAL: self.robust}
        if c.source in c.students:
            networks["r_image"] = self._student(c.source, "r_image", made)
        rows, norm = self.bench.data.rows["test"], c.robustness.norm
        config = config.model_copy(update={"rows": min(config.rows, rows)})
        for of, network in networks.items():
            title = f"layers of {c.source} on {of} seed {seed}"
            stage = layer_robustness(
                config, norm, c.eps, c.source, network, self.bench.data.test, seed, c.compute, rows=rows, name=title
            )
            yield RobustCell("layers", seed, of, c.source), stage

    def _shift(self, name: str, student: Stage, own: Stage, moved: Stage) -> Iterator[tuple[RobustCell, Stage]]:
        """Table 8 of the paper: the same attack on the student's own images, and on test images made like them."""
        c = self.config
        at_eps = c.robustness.model_copy(update={"eps": (c.eps,), "ensemble": None, "ensemble_eps": None, "others": {}})
        images: dict[str, tuple[Stage, Split]] = {"own": (own, "train"), "moved": (moved, "test")}
        for role, (data, split) in images.items():
            attacked = self.bench.robustness(at_eps, student, f"{name} on r_image, {role}", data, split)
            yield RobustCell(role, self.seed, "r_image", name), attacked

    def _student(self, name: str, of: str, made: Stage) -> Stage:
        """Students of one architecture begin alike, whatever they are trained on."""
        own = {key: recipe for key, recipe in self.config.student_on.items() if key == of}
        recipe = next(iter(own.values()), self.config.student)
        return self.bench.train(name, recipe, "student", made, of=of)
