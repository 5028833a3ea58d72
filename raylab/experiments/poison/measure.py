"""What the poisons do: accuracy of networks trained on them, what a defender sees, and how often a trigger succeeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from raylab.core.statistics import over_seeds
from raylab.engine.study import Built
from raylab.experiments.poison.config import PoisonStudy
from raylab.experiments.poison.plan import AIMS, CLEAN, DEFENCES, Defence, PoisonCell
from raylab.report.per_seed import PerSeed
from raylab.report.read import CellReader, Columns, Findings, begun, reader_of
from raylab.scoreboard.protocol import named, radius

LABELS: dict[str, str] = {
    CLEAN: "clean",
    "p1": "P1 own, towards y + 1",
    "p2": "P2 own, towards y",
    "p3": "P3 class-wide, towards y + 1",
    "p4": "P4 class-wide, towards y",
    "p5": "P5 class-wide noise",
}
FEATURES = (
    "robust feature",
    "non-robust feature",
    "class before the non-robust feature’s",
)  # that a network may rely on
WAYS = {"clean_label": "label kept", "changed_label": "label changed"}


class Key(NamedTuple):
    """A victim, whatever its seed."""

    of: str  # "clean", a poison or a way of planting the trigger
    defence: Defence
    share: float = 1.0
    eps: float = 0.0  # of the trigger


@dataclass(frozen=True)
class Victim:
    """A network trained on a set, on clean test images of its task and beside them."""

    accuracy: PerSeed
    previous: PerSeed  # says y - 1
    training: PerSeed  # accuracy in the last epoch on what it was trained on; adversarial: under its adversary
    heldout: PerSeed  # accuracy on test images that are poisoned alike
    robust: PerSeed  # accuracy under attack on clean test images, where that was asked
    reliance: Mapping[str, PerSeed]  # See-Far: by FEATURES, on images where no two of them agree
    further: Mapping[str, PerSeed] = field(default_factory=dict)  # accuracy on further test images, by their name


@dataclass(frozen=True)
class SetStats:
    """What can be seen of a set without a victim."""

    l2: float | None  # mean over poisoned images and seeds
    linf: float | None
    nearest: PerSeed  # the nearest clean image (another one) has the label
    oracles: Mapping[str, PerSeed]  # See-Far: which features the oracles read
    success: PerSeed  # attack success rate on the source


@dataclass(frozen=True)
class TriggerRates:
    """Test images of other classes with the trigger."""

    rate: PerSeed  # attack success rate: the network calls them the trigger's target
    before: PerSeed  # the same of a network of the same training that never saw the trigger
    planted: int  # training images with it, over seeds
    l2: float  # of it after clipping


@dataclass(frozen=True)
class Poisons(Findings[PoisonStudy, PoisonCell]):
    """One study's result."""

    source: PerSeed
    victims: Mapping[Key, Victim]
    sets_seen: Mapping[str, SetStats]
    triggered: Mapping[Key, TriggerRates]
    collapsed: tuple[str, ...]

    @property
    def sets(self) -> tuple[str, ...]:
        """Clean data and all poisons, in order."""
        return (CLEAN, *(name for name in LABELS if name in self.config.poisons))

    @property
    def title(self) -> str:
        c = self.config
        return f"{named(c.data)}: {radius(c.attack)}, {c.source} against {c.victim}"

    def victim(self, of: str, defence: Defence, share: float = 1.0) -> Victim:
        return self.victims[Key(of, defence, share)]


def measure(built: Built[PoisonStudy, PoisonCell]) -> Poisons:
    """All numbers, from the results of single examples."""
    config, reader, start = built.config, reader_of(built), begun(built)
    keys = dict.fromkeys(Key(c.of, _defence(c), c.share, c.eps) for c in built.planned if c.role == "victim")
    planted = [c for c in built.planned if c.role == "obeys" and c.of != CLEAN]
    return Poisons(
        *start,
        reader.right(PoisonCell("source", 0)),
        {key: _victim(reader, key, tuple(config.evaluate_on or ())) for key in keys},
        {name: _set_stats(reader, name, len(start[2])) for name in (CLEAN, *config.poisons)},
        {Key(c.of, _defence(c), c.share, c.eps): _triggered(reader, c, config) for c in planted},
        reader.warnings("network", "collapse", _trained_on),
    )


def trigger_label(way: str, eps: float) -> str:
    return f"trigger {eps:g}, {WAYS[way]}"


def _trained_on(cell: PoisonCell) -> str:
    if cell.of in WAYS:
        return trigger_label(cell.of, cell.eps)
    return LABELS[cell.of] + (f" on {100 * cell.share:g} % of the images" if cell.share < 1.0 else "")


def _victim(reader: CellReader[PoisonCell], key: Key, further: tuple[str, ...]) -> Victim:
    place = PoisonCell("victim", 0, *key)
    shown = place._replace(role="usage")
    return Victim(
        reader.right(place),
        reader.share(place, _says_previous),
        reader.fitted(place._replace(role="network")),
        reader.right(place._replace(role="heldout")),
        reader.robust(place._replace(role="robust")),
        {name: reader.share(shown, partial(_says, name), _apart) for name in FEATURES},
        {on: reader.further(place._replace(role="further", on=on)) for on in further},
    )


def _set_stats(reader: CellReader[PoisonCell], of: str, classes: int) -> SetStats:
    sets, read = reader.metrics(PoisonCell("set", 0, of)), PoisonCell("oracles", 0, of)
    oracles = {
        "robust feature kept": lambda rows: rows["shape_read"] == rows["shape_class"],
        "non-robust feature of the label": lambda rows: rows["toogit_read"] == rows["label"],
        "non-robust feature of label + 1": lambda rows: rows["toogit_read"] == (rows["label"] + 1) % classes,
    }
    return SetStats(
        over_seeds([one["l2"] for one in sets], 0).mean if sets else None,
        over_seeds([one["linf"] for one in sets], 0).mean if sets else None,
        reader.hit(PoisonCell("neighbours", 0, of), "says_original"),
        {name: reader.share(read, hit, split="train") for name, hit in oracles.items()},
        reader.hit(PoisonCell("attack", 0, of), "success", next((aim for name, aim in AIMS.items() if name == of), "")),
    )


def _triggered(reader: CellReader[PoisonCell], cell: PoisonCell, config: PoisonStudy) -> TriggerRates:
    target = config.trigger.target if config.trigger else 0

    def rate(of: PoisonCell) -> PerSeed:
        return reader.share(of, lambda rows: rows["prediction"] == target, lambda rows: rows["label"] != target)

    sets = reader.metrics(cell._replace(role="set", defence=""))
    return TriggerRates(
        rate(cell),
        rate(cell._replace(of=CLEAN)),
        sum(one["poisoned"] for one in sets),
        over_seeds([one["l2"] for one in sets if one["l2"] is not None], 0).mean,
    )


def _says_previous(rows: Columns) -> Any:
    return (rows["prediction"] + 1) % rows["logits"].shape[1] == rows["label"]


def _answers(rows: Columns) -> dict[str, NDArray[np.int64]]:
    """What a network that relies on each feature alone says of See-Far's images whose features disagree."""
    shape, toogit = rows["shape_class"], rows["toogit_class"]
    return dict(zip(FEATURES, (shape, toogit, (toogit - 1) % rows["logits"].shape[1]), strict=True))


def _says(name: str, rows: Columns) -> Any:
    return _answers(rows)[name] == rows["prediction"]


def _apart(rows: Columns) -> Any:
    """Images on which no two of them agree: else one answer would count twice."""
    robust, _, previous = _answers(rows).values()
    return robust != previous


def _defence(cell: PoisonCell) -> Defence:
    return next(defence for defence in DEFENCES if defence == cell.defence)
