"""What plans have in common: the networks, sets and measurements of one data set under one seed.

A plan says what is to be compared; the bench knows how each of the things is made. Names are for people.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from raylab.core.construct import Kind
from raylab.core.seeding import derive
from raylab.core.seefar import World
from raylab.engine.stage import Compute, Stage
from raylab.stages.construction import Aim, Attack, construct
from raylab.stages.dataset import Data, DataConfig, Split, open_data, probe
from raylab.stages.errors import labelled_by
from raylab.stages.evaluation import evaluate
from raylab.stages.further import FurtherTest
from raylab.stages.images import ImageSpec
from raylab.stages.neighbours import neighbours
from raylab.stages.oracles import read_oracles
from raylab.stages.own import loaded
from raylab.stages.own_construction import own_construction
from raylab.stages.own_metric import own_metric
from raylab.stages.patterns import patterned, universal_patterns
from raylab.stages.recipe import Recipe
from raylab.stages.robustness import Robustness, robustness
from raylab.stages.training import Keep, train

CellT = TypeVar("CellT", bound=Any)  # a NamedTuple with fields `role` and `on`
PlannedT_co = TypeVar("PlannedT_co", bound=Any, covariant=True)  # likewise
PROBE_ROWS = 1000  # images of a probe, which show what a network relies on


@dataclass(frozen=True)
class Bench:
    """Makes the stages of one seed. Titles say what a stage is about; the seed is added to them."""

    data: Data
    seed: int
    compute: Compute
    network_lr: Mapping[str, float] = field(default_factory=dict)  # of single networks: they win over every recipe's
    purpose: str = ""  # put before the roles that networks draw their seeds by: "fourier/"

    @staticmethod
    def open(
        data: DataConfig, seed: int, compute: Compute, network_lr: Mapping[str, float] | None = None, purpose: str = ""
    ) -> Bench:
        """Raises raylab.data.DataError where files are missing or broken."""
        return Bench(open_data(data, seed), seed, compute, network_lr or {}, purpose)

    @property
    def images(self) -> ImageSpec:
        return self.data.images

    @property
    def world(self) -> World:
        """Of See-Far, the only data of which it is known what its features are."""
        assert self.data.world is not None
        return self.data.world

    def clean(self, split: Split) -> Stage:
        return self.data.train if split == "train" else self.data.test

    def train(
        self,
        network: str,
        recipe: Recipe,
        role: str,
        data: Stage | None = None,  # None: the clean training images
        *,
        called: str = "",  # "": by its role and architecture
        of: str = "",  # what it is trained on, where that is to be told
        rows: int | None = None,  # of `data`; None: as many as there are training images
        labels: Kind | None = None,
        labels_seed: int = 0,
        keep: Keep = "all",
        keep_share: float = 0.4,
        kept_as: Stage | None = None,
    ) -> Stage:
        """Networks of one role and architecture begin alike, whatever they are trained on.

        Raises ValueError as `stages.training.train`.
        """
        return train(
            network,
            recipe.model_copy(update={"lr": self.network_lr.get(network, recipe.lr)}),
            data or self.data.train,
            self.images,
            derive(self.seed, f"{self.purpose}{role}/{network}"),
            labels=labels,
            labels_seed=labels_seed,
            keep=keep,
            keep_share=keep_share,
            kept_as=kept_as,
            rows=self.data.rows["train"] if rows is None else rows,
            name=f"train {called or f'{role} {network}'}{f' on {of}' if of else ''} seed {self.seed}",
        )

    def source(self, network: str, recipe: Recipe, role: str = "source") -> Stage:
        """A network that is attacked: trained on the clean images, or with weights of one's own."""
        return loaded(network, self.data) or self.train(network, recipe, role)

    def construct(
        self, aim: Aim, attack: Attack, source: Stage, split: Split, title: str, ensemble: tuple[Stage, ...] = ()
    ) -> Stage:
        """Raises ValueError as `stages.construction.construct`."""
        return construct(
            aim,
            attack,
            self.clean(split),
            source,
            self.images,
            self.seed,
            split,
            self.compute,
            ensemble=ensemble,
            rows=self.data.rows[split],
            name=f"{title} seed {self.seed}",
        )

    def own_construction(self, construction: str, source: Stage, title: str) -> Stage:
        """Training images as a function of one's own makes them. Raises ValueError as
        `stages.own_construction.own_construction`."""
        return own_construction(
            construction,
            self.data.train,
            source,
            self.images,
            self.seed,
            self.compute,
            rows=self.data.rows["train"],
            name=f"{title} seed {self.seed}",
        )

    def relabelled(self, made: Stage, title: str) -> Stage:
        """The clean training images with the labels that they have in a set."""
        return labelled_by(self.data.train, made, self.images.num_classes, name=f"{title} seed {self.seed}")

    def patterned(
        self, kind: Kind, patterns: Stage, selector: Stage | None, title: str, *, everywhere: bool = False
    ) -> Stage:
        """Training images with the pattern of their new label. Raises ValueError as `stages.patterns.patterned`."""
        return patterned(
            kind,
            patterns,
            self.data.train,
            selector,
            self.images,
            self.seed,
            "train",
            self.compute,
            everywhere=everywhere,
            rows=self.data.rows["train"],
            name=f"{title} seed {self.seed}",
        )

    def universal_patterns(self, attack: Attack, source: Stage, base: int, of: str) -> Stage:
        """One perturbation a class, each of `base` training images.

        Raises ValueError where there are fewer: it names the config's field.
        """
        if base > self.data.rows["train"]:
            raise ValueError(f"base: at most the {self.data.rows['train']} training images, got {base}")
        name = f"universal perturbations of {of} seed {self.seed}"
        return universal_patterns(attack, self.data.train, source, base, self.images, self.seed, name=name)

    def on(self, network: Stage, images: Stage, name: str, rows: int | None = None) -> Stage:
        """What a network says of images: of as many as there are test images, where `rows` says nothing else."""
        rows = self.data.rows["test"] if rows is None else rows
        return evaluate(network, images, self.compute, rows=rows, name=name)

    def on_test(self, network: Stage, title: str, images: Stage | None = None) -> Stage:
        """On the clean test images, or on others made of them."""
        return self.on(network, images or self.data.test, f"test {title} seed {self.seed}")

    def on_further(
        self, further: Mapping[str, FurtherTest] | None, tested: Mapping[CellT, Stage]
    ) -> Iterator[tuple[CellT, Stage]]:
        """What networks that were tested say of further test images: cells of the role "further", `on` their names.

        Raises ValueError as `FurtherTest.open`.
        """
        for name, asked in (further or {}).items():
            images, rows = asked.open(name, self.data, self.seed)
            for cell, stage in tested.items():
                judged = self.on(stage.inputs["model"], images, f"{stage.name} on {name}", rows)
                yield cell._replace(role="further", on=name), judged

    def own_metric(self, metric: str, network: Stage, name: str) -> Stage:
        """A measure of one's own on the clean test images. Raises ValueError as `stages.own_metric.own_metric`."""
        rows = self.data.rows["test"]
        return own_metric(metric, network, self.data.test, self.images, self.compute, rows=rows, name=name)

    def on_probe(self, network: Stage, name: str, kind: str = "conflict") -> Stage:
        """On images of See-Far whose features disagree, or with one of them alone."""
        return self.on(network, probe(self.world, kind, PROBE_ROWS), name, PROBE_ROWS)

    def robustness(
        self, config: Robustness, network: Stage, title: str, images: Stage | None = None, split: Split = "test"
    ) -> Stage:
        """Robust accuracy on clean images of a split, or on others made of them.

        Raises ValueError as `stages.robustness.robustness`.
        """
        return robustness(
            config,
            network,
            images or self.clean(split),
            self.images,
            self.seed,
            self.compute,
            rows=self.data.rows[split],
            name=f"robustness of {title} seed {self.seed}",
        )

    def robustness_of_some(self, config: Robustness, network: Stage, title: str) -> Stage:
        """On the test images, all of them where the config asks for as many as there are, or more."""
        if config.rows is not None and config.rows >= self.data.rows["test"]:
            config = config.model_copy(update={"rows": None})
        return self.robustness(config, network, title)

    def neighbours(self, made: Stage, count: int, title: str) -> Stage:
        """The 1-nearest-neighbour check of about `count` training images."""
        rows, name = self.data.rows["train"], f"1-NN of {title} seed {self.seed}"
        return neighbours(made, self.data.train, min(1.0, count / rows), self.compute, rows=rows, name=name)

    def oracles(self, images: Stage, title: str, rows: int | None = None) -> Stage:
        """What both oracles of See-Far read in images: in as many as there are training images, or in `rows`."""
        rows = self.data.rows["train"] if rows is None else rows
        return read_oracles(images, self.world, self.compute, rows=rows, name=f"oracles on {title}")


class SeedPlan(Protocol[PlannedT_co]):
    """What is measured of one seed, and the bench that makes it."""

    @property
    def bench(self) -> Bench: ...

    def cells(self) -> Iterator[tuple[PlannedT_co, Stage]]: ...


def of_seeds(
    plans: Iterable[SeedPlan[CellT]], further: Mapping[str, FurtherTest] | None, role: str
) -> dict[CellT, Stage]:
    """The cells of every seed, and what the networks that were tested, in the cells of a role, say of further images.

    Raises ValueError as the plans do, and as `FurtherTest.open`.
    """
    cells: dict[CellT, Stage] = {}
    for plan in plans:
        planned = dict(plan.cells())
        tested = {cell: stage for cell, stage in planned.items() if cell.role == role}
        cells |= planned | dict(plan.bench.on_further(further, tested))
    return cells
