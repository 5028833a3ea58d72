"""Do the perturbations of one network teach another?  (Ilyas et al. 2019, section 3.2 and figure 3)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

from pydantic import Field, model_validator

from raylab.config import Config
from raylab.core.construct import Kind
from raylab.core.seeding import derive
from raylab.recipes.fields import Kinds, Names, NetworkName, Seeds
from raylab.stage import Compute, Stage
from raylab.stages.construction import Attack, construct
from raylab.stages.dataset import Data, DataConfig, DigitsData, Split, open_data, probe
from raylab.stages.evaluation import evaluate
from raylab.stages.neighbours import neighbours
from raylab.stages.oracles import read_oracles
from raylab.stages.training import Keep, Recipe, train, with_epochs


class StudentRecipes(Config):
    """Recipes of the students by kind of constructed set; None: `train`."""

    rand: Recipe | None = None
    other: Recipe | None = None
    det: Recipe | None = None


class Controls(Config):
    """What a student must beat. The unperturbed images with the same labels cost a student each; the other two need
    sources and sets of their own, so they can be confined to some sources and targets (None: all)."""

    unperturbed: bool = True
    random_labels: bool = True  # a source fitted to random labels: the same attack and norm, nothing that generalises
    untrained: bool = True
    random_label_epochs: Annotated[int, Field(ge=1, le=100_000)] = 60  # fitting noise takes longer
    sources: tuple[NetworkName, ...] | None = None
    targets: tuple[NetworkName, ...] | None = None


class TransferMatrix(Config):
    """One matrix: sources x targets x kinds, over seeds."""

    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9_. -]{1,60}$")] = "digits"  # also the experiment's name in MLflow
    data: DataConfig = DigitsData()
    sources: Names = ("linear", "mlp", "cnn", "vgg_small")
    targets: Names = ("linear", "mlp", "cnn", "vgg_small")
    kinds: Kinds = ("rand", "det")
    seeds: Seeds = (0, 1, 2)
    attack: Attack = Attack()
    keep: Keep = "all"
    train: Recipe = Recipe()
    students: StudentRecipes = StudentRecipes()
    # Learning rates of single networks: they win over those of `train` and `students`.
    network_lr: dict[NetworkName, Annotated[float, Field(gt=0, le=100)]] = Field(default={"linear": 1e-2})
    controls: Controls = Controls()
    neighbours: Annotated[int, Field(ge=0)] = 1000  # images of a set in the 1-nearest-neighbour check; 0: no check
    compute: Compute = Compute()

    @model_validator(mode="after")
    def _check(self) -> TransferMatrix:
        for name in ("sources", "targets"):
            extra = set(getattr(self.controls, name) or ()) - set(getattr(self, name))
            if extra:
                raise ValueError(f"controls.{name}: {sorted(extra)} are not among {name} {list(getattr(self, name))}")
        return self


class Cell(NamedTuple):
    """One thing that is measured. Roles, and which of the other fields they use:

    data        -                     the clean training set
    network     source                a source (or with `control` that of a control); target: an independent network;
                                      source target kind: a student
    source      source                a source on the test set
    standard    target                an independently trained network on the test set
    set         source kind           a constructed training set
    neighbours  source kind           its 1-nearest-neighbour check; neither: that of the clean images
    student     source target kind    a student on the test set; `control` names the control it belongs to, if any (the
                                      unperturbed one has no source, unless only some examples are kept)
    attacked    source kind           attacked test images; kind is the aim, "untargeted" or "det"
    transfer    source target kind    an independent network on them
    oracles     source kind           See-Far's oracles on a set
    usage       source target kind    a student on images whose features disagree
    """

    role: str
    seed: int
    source: str = ""
    target: str = ""
    kind: str = ""
    control: str = ""  # "", "unperturbed", "random_labels", "untrained"


TRANSFER_AIMS = ("untargeted", "det")


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
        self.config, self.seed = config, seed
        self.data: Data = open_data(config.data, seed)
        c = self.config
        self.standard = {name: self._network(name, "standard") for name in c.targets}
        self.sources = {name: self._network(name, "source") for name in c.sources}

    def cells(self) -> Iterator[tuple[Cell, Stage]]:
        c, seed = self.config, self.seed
        yield Cell("data", seed), self.data.train
        for target, network in self.standard.items():
            yield Cell("network", seed, target=target), network
            yield Cell("standard", seed, target=target), self._on_test(network, f"standard {target}")
        if c.neighbours:
            yield Cell("neighbours", seed), self._neighbours(self.data.train, "clean images")
        for source, network in self.sources.items():
            yield Cell("network", seed, source), network
            yield Cell("source", seed, source), self._on_test(network, f"source {source}")
            yield from self._transfer(source)
            yield from self._students(source, network, c.targets)
        if c.controls.unperturbed:
            yield from self._unperturbed()
        for control in ("random_labels", "untrained"):
            if getattr(c.controls, control):
                for source in c.sources if c.controls.sources is None else c.controls.sources:
                    network = self._control_source(source, control)
                    yield Cell("network", seed, source, control=control), network
                    targets = c.targets if c.controls.targets is None else c.controls.targets
                    yield from self._students(source, network, targets, control)

    def _unperturbed(self) -> Iterator[tuple[Cell, Stage]]:
        """Clean images with the labels of a set, and where only some examples of a set are kept, the same of them: an
        attack towards the own class succeeds most often, so a selection alone can teach."""
        c = self.config
        for kind in c.kinds:
            for source in c.sources if c.keep != "all" else ("",):
                title = f"unperturbed {kind}{f' as kept from {source}' if source else ''}"
                made = self._construct(kind, self.sources[source], "train", f"{kind} from {source}") if source else None
                for target in c.targets:
                    student = self._network(target, "student", kind=kind, relabelled=True, kept_as=made, of=title)
                    place = (self.seed, source, target, kind, "unperturbed")
                    yield Cell("network", *place), student
                    yield Cell("student", *place), self._on_test(student, f"{target} on {title}")

    def _students(
        self, source: str, network: Stage, targets: tuple[str, ...], control: str = ""
    ) -> Iterator[tuple[Cell, Stage]]:
        c, seed = self.config, self.seed
        for kind in c.kinds:
            title = f"{kind} from {control + ' ' if control else ''}{source}"
            made = self._construct(kind, network, "train", title)
            yield Cell("set", seed, source, "", kind, control), made
            if c.neighbours and not control:
                yield Cell("neighbours", seed, source, "", kind), self._neighbours(made, title)
            if self.data.world is not None and not control:
                oracles = read_oracles(
                    made, self.data.world, c.compute, rows=self.data.rows["train"], name=f"oracles on {title}"
                )
                yield Cell("oracles", seed, source, "", kind), oracles
            for target in targets:
                student = self._network(target, "student", kind=kind, made=made, of=title)
                yield Cell("network", seed, source, target, kind, control), student
                yield (
                    Cell("student", seed, source, target, kind, control),
                    self._on_test(student, f"{target} on {title}"),
                )
                if self.data.world is not None and not control:
                    shown = probe(self.data.world, "conflict")
                    usage = evaluate(student, shown, c.compute, rows=1000, name=f"usage of {target} on {title}")
                    yield Cell("usage", seed, source, target, kind), usage

    def _transfer(self, source: str) -> Iterator[tuple[Cell, Stage]]:
        c = self.config
        for aim in TRANSFER_AIMS:
            title = f"{aim} test images of {source}"
            attacked = construct(
                aim,  # type: ignore[arg-type]
                c.attack,
                self.data.test,
                self.sources[source],
                self.data.images,
                self.seed,
                "test",
                c.compute,
                rows=self.data.rows["test"],
                name=f"{title} seed {self.seed}",
            )
            yield Cell("attacked", self.seed, source, "", aim), attacked
            for target, network in self.standard.items():
                judged = evaluate(
                    network, attacked, c.compute, rows=self.data.rows["test"], name=f"standard {target} on {title}"
                )
                yield Cell("transfer", self.seed, source, target, aim), judged

    def _network(
        self,
        name: str,
        role: str,
        *,
        kind: Kind | None = None,
        made: Stage | None = None,
        relabelled: bool = False,
        kept_as: Stage | None = None,
        of: str = "",
    ) -> Stage:
        """A network trained on clean images, on a constructed set, or on clean images with that set's labels."""
        c = self.config
        recipe = self._at_its_rate(name, c.train if kind is None else getattr(c.students, kind) or c.train)
        return train(
            name,
            recipe,
            made or self.data.train,
            self.data.images,
            derive(self.seed, f"{role}/{name}"),
            labels=kind if relabelled else None,
            labels_seed=self.seed,
            keep="all" if (made or kept_as) is None else c.keep,
            kept_as=kept_as,
            rows=self.data.rows["train"],
            name=f"train {role} {name}{f' on {of}' if of else ''} seed {self.seed}",
        )

    def _control_source(self, name: str, control: str) -> Stage:
        c = self.config
        recipe = with_epochs(c.train, 0 if control == "untrained" else c.controls.random_label_epochs)
        recipe = self._at_its_rate(name, recipe.model_copy(update={"augment": "none"}))
        return train(
            name,
            recipe,
            self.data.train,
            self.data.images,
            derive(self.seed, f"{control}/{name}"),
            labels="rand" if control == "random_labels" else None,
            labels_seed=derive(self.seed, "random labels"),  # not those of D_rand, which its students are given
            rows=self.data.rows["train"],
            name=f"train {control} source {name} seed {self.seed}",
        )

    def _at_its_rate(self, name: str, recipe: Recipe) -> Recipe:
        return recipe.model_copy(update={"lr": self.config.network_lr.get(name, recipe.lr)})

    def _construct(self, kind: Kind, network: Stage, split: Split, title: str) -> Stage:
        c = self.config
        return construct(
            kind,
            c.attack,
            self.data.train if split == "train" else self.data.test,
            network,
            self.data.images,
            self.seed,
            split,
            c.compute,
            rows=self.data.rows[split],
            name=f"{title} seed {self.seed}",
        )

    def _on_test(self, network: Stage, title: str) -> Stage:
        rows = self.data.rows["test"]
        return evaluate(network, self.data.test, self.config.compute, rows=rows, name=f"test {title} seed {self.seed}")

    def _neighbours(self, data: Stage, title: str) -> Stage:
        rows = self.data.rows["train"]
        fraction = min(1.0, self.config.neighbours / rows)
        return neighbours(
            data, self.data.train, fraction, self.config.compute, rows=rows, name=f"1-NN of {title} seed {self.seed}"
        )
