"""The poisons as tables: what both trainings become, what a defender sees, and who obeys the trigger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from raylab.artifact import Artifact
from raylab.core.statistics import Estimate, over_seeds, proportion, sampled
from raylab.recipes.poison import AIMS, CLEAN, DEFENCES, Cell, Defence, PoisonStudy
from raylab.report import hits
from raylab.report.estimates import BySeed, mean
from raylab.report.made import newest_provenance
from raylab.report.names import NAMES
from raylab.report.scoreboard.protocol import radius

Artifacts = Mapping[Cell, Artifact]
Columns = Mapping[str, NDArray[Any]]

LABELS: dict[str, str] = {
    CLEAN: "clean",
    "p1": "P1 own, towards y + 1",
    "p2": "P2 own, towards y",
    "p3": "P3 class-wide, towards y + 1",
    "p4": "P4 class-wide, towards y",
    "p5": "P5 class-wide noise",
}
FOLLOWED = {"follow_r": "shape", "follow_n": "toogit", "follow_previous": "class before the toogit’s"}
WAYS = {"clean_label": "label kept", "changed_label": "label changed"}


class Key(NamedTuple):
    """A victim, whatever its seed."""

    of: str  # "clean", a poison or a way of planting the trigger
    defence: Defence
    share: float = 1.0
    eps: float = 0.0  # of the trigger


@dataclass(frozen=True)
class Victim:
    """On clean test images of its task, and beside them."""

    accuracy: Estimate
    by_seed: BySeed
    previous: Estimate  # says y - 1
    previous_by_seed: BySeed
    training: Estimate  # accuracy in the last epoch on what it was trained on; adversarial: under its adversary
    heldout: Estimate | None  # accuracy on test images that are poisoned alike
    robust: BySeed | None  # adversarial: accuracy under attack on clean test images
    usage: Mapping[str, Estimate]  # See-Far: by FOLLOWED, on images where no two of them agree


@dataclass(frozen=True)
class Looks:
    """What can be seen of a set without a victim."""

    l2: float  # mean over poisoned images and seeds
    linf: float
    poisoned: int
    own: Estimate | None  # nearest clean image (another one) has the label; None: not asked
    oracles: Mapping[str, Estimate]  # See-Far: shape kept; toogit is that of the label, of label + 1
    success: Estimate | None  # of the attack on the source


@dataclass(frozen=True)
class Obeyed:
    """Of test images of other classes with the trigger, those called its target."""

    rate: Estimate
    by_seed: BySeed
    before: BySeed  # by a network of the same training that never saw the trigger
    planted: int  # training images with it, over seeds
    l2: float  # of it after clipping


@dataclass(frozen=True)
class Poisons:
    """One config's result."""

    config: PoisonStudy
    key: str
    note: str
    class_names: tuple[str, ...]
    source: Estimate
    victims: Mapping[Key, Victim]
    looks: Mapping[str, Looks]
    obeyed: Mapping[Key, Obeyed]
    collapsed: tuple[str, ...]
    artifacts: Artifacts
    provenance: Mapping[str, Any]

    @property
    def sets(self) -> tuple[str, ...]:
        """Clean data and all poisons, in order."""
        return (CLEAN, *(name for name in LABELS if name in self.config.poisons))

    @property
    def title(self) -> str:
        c = self.config
        return f"{NAMES.get(c.data.name, c.data.name)}: {radius(c.attack)}, {c.source} against {c.victim}"

    def victim(self, of: str, defence: Defence, share: float = 1.0) -> Victim:
        return self.victims[Key(of, defence, share)]


def measured(config: PoisonStudy, key: str, artifacts: Artifacts) -> Poisons:
    """All numbers from the per-example results of the cells."""
    about = artifacts[Cell("data", config.seeds[0])].metrics
    reader = _Reader(config, artifacts)
    keys = dict.fromkeys(Key(c.of, _defence(c), c.share, c.eps) for c in artifacts if c.role == "victim")
    return Poisons(
        config,
        key,
        str(about["note"]),
        tuple(about["class_names"]),
        _mean(reader.shares(Cell("source", 0), _right)),
        {k: reader.victim(k) for k in keys},
        {name: reader.looks(name) for name in (CLEAN, *config.poisons)},
        {Key(c.of, _defence(c), c.share, c.eps): reader.obeyed(c) for c in artifacts if _planted(c)},
        tuple(
            f"{LABELS.get(c.of, c.of)}, seed {c.seed}: {a.metrics['collapse']}"
            for c, a in artifacts.items()
            if c.role == "network" and a.metrics["collapse"]
        ),
        artifacts,
        newest_provenance(artifacts.values()),
    )


class _Reader:
    """Reads shares by seed."""

    def __init__(self, config: PoisonStudy, artifacts: Artifacts) -> None:
        self.config, self.artifacts = config, artifacts

    def of_seeds(self, cell: Cell) -> dict[int, Artifact]:
        found = {seed: self.artifacts.get(cell._replace(seed=seed)) for seed in self.config.seeds}
        return {seed: artifact for seed, artifact in found.items() if artifact is not None}

    def shares(
        self,
        cell: Cell,
        hit: Callable[[Columns], Any],
        among: Callable[[Columns], Any] | None = None,
        split: Literal["train", "test"] = "test",
    ) -> dict[int, Estimate]:
        """By seed, of the examples (`among` them): those that are `hit`."""
        found = {}
        for seed, artifact in self.of_seeds(cell).items():
            rows = artifact.without_images()
            kept = slice(None) if among is None else among(rows)
            mask: NDArray[Any] = np.asarray(hit(rows), dtype=bool)[kept]
            found[seed] = sampled(mask, rows["id"][kept], self.config.data.images_of(seed, split))
        return found

    def victim(self, key: Key) -> Victim:
        place = Cell("victim", 0, *key)
        right, previous = self.shares(place, _right), self.shares(place, _previous)
        heldout = self.shares(place._replace(role="heldout"), _right)
        trained = self.of_seeds(place._replace(role="network")) or {}
        fitted = [proportion(round(m["accuracy"][-1] * m["examples"]), m["examples"]) for m in _metrics(trained)]
        attacked = self.of_seeds(place._replace(role="robust"))
        robust = {s: self._robust(s, a.without_images()) for s, a in attacked.items()}
        shown = place._replace(role="usage")
        usage = {name: self.shares(shown, partial(_follows, name), _apart) for name in FOLLOWED}
        return Victim(
            _mean(right),
            right,
            _mean(previous),
            previous,
            mean(fitted),
            _mean(heldout) if heldout else None,
            robust or None,
            {name: _mean(by_seed) for name, by_seed in usage.items() if by_seed},
        )

    def _robust(self, seed: int, rows: Columns) -> Estimate:
        """At the first radius, of each image the worst of all attacks."""
        return sampled(hits.stands(rows, 0), rows["id"], self.config.data.images_of(seed))

    def _trained_on(self, cell: Cell, metric: str, aim: str = "") -> dict[int, Estimate]:
        """By seed, a share of training images."""
        return {
            seed: hits.share(artifact.without_images(), metric, self.config.data.images_of(seed, "train"), aim)
            for seed, artifact in self.of_seeds(cell).items()
        }

    def looks(self, of: str) -> Looks:
        sets = _metrics(self.of_seeds(Cell("set", 0, of)))
        own = self._trained_on(Cell("neighbours", 0, of), "says_original")
        attack = self._trained_on(
            Cell("attack", 0, of), "success", next((aim for name, aim in AIMS.items() if name == of), "")
        )
        read = Cell("oracles", 0, of)
        classes = len(self.artifacts[Cell("data", self.config.seeds[0])].metrics["class_names"])
        oracles = {
            "shape kept": self.shares(read, lambda rows: rows["shape_read"] == rows["shape_class"], split="train"),
            "toogit of the label": self.shares(read, lambda rows: rows["toogit_read"] == rows["label"], split="train"),
            "toogit of label + 1": self.shares(
                read, lambda rows: rows["toogit_read"] == (rows["label"] + 1) % classes, split="train"
            ),
        }
        return Looks(
            over_seeds([m["l2"] for m in sets], 0).mean if sets else 0.0,
            over_seeds([m["linf"] for m in sets], 0).mean if sets else 0.0,
            sum(m["poisoned"] for m in sets),
            _mean(own) if own else None,
            {name: _mean(by_seed) for name, by_seed in oracles.items() if by_seed},
            _mean(attack) if attack else None,
        )

    def obeyed(self, cell: Cell) -> Obeyed:
        target = self.config.trigger.target if self.config.trigger else 0

        def rate(of: Cell) -> dict[int, Estimate]:
            return self.shares(of, lambda rows: rows["prediction"] == target, lambda rows: rows["label"] != target)

        found = rate(cell)
        sets = _metrics(self.of_seeds(cell._replace(role="set", defence="")))
        sizes = [m["l2"] for m in sets if m["l2"] is not None]
        return Obeyed(
            _mean(found),
            found,
            rate(cell._replace(of=CLEAN)),
            sum(m["poisoned"] for m in sets),
            over_seeds(sizes, 0).mean,
        )


def _right(rows: Columns) -> Any:
    return rows["correct"]


def _previous(rows: Columns) -> Any:
    return (rows["prediction"] + 1) % rows["logits"].shape[1] == rows["label"]


def _answers(rows: Columns) -> dict[str, NDArray[np.int64]]:
    """What each kind of follower says of See-Far's conflict images."""
    shape, toogit = rows["shape_class"], rows["toogit_class"]
    return dict(zip(FOLLOWED, (shape, toogit, (toogit - 1) % rows["logits"].shape[1]), strict=True))


def _follows(name: str, rows: Columns) -> NDArray[np.bool_]:
    return np.asarray(_answers(rows)[name] == rows["prediction"])


def _apart(rows: Columns) -> NDArray[np.bool_]:
    """Images on which no two of them agree: else one answer would count twice."""
    answers = _answers(rows)
    return np.asarray(answers["follow_r"] != answers["follow_previous"])


def _planted(cell: Cell) -> bool:
    return cell.role == "obeys" and cell.of != CLEAN


def _defence(cell: Cell) -> Defence:
    return next(defence for defence in DEFENCES if defence == cell.defence)


def _metrics(artifacts: Mapping[int, Artifact]) -> list[Mapping[str, Any]]:
    return [artifact.metrics for artifact in artifacts.values()]


def _mean(by_seed: BySeed) -> Estimate:
    return mean(list(by_seed.values()))
