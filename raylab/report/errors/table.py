"""Learning from errors as tables: students by part, usage of the planted cue, the toy, and what the numbers allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from raylab.artifact import Artifact
from raylab.core.statistics import Estimate, over_seeds, sampled
from raylab.recipes.errors import Cell, LearningFromErrors
from raylab.report.estimates import BySeed, mean
from raylab.report.made import newest_provenance
from raylab.report.per_seed import PerSeed
from raylab.stages.data_config import DataConfig

Artifacts = Mapping[Cell, Artifact]
Hit = Callable[[Mapping[str, NDArray[Any]]], NDArray[np.bool_]]


class Key(NamedTuple):
    """A student, whatever its seed; a teacher where `student` and `kind` are empty."""

    part: str
    teacher: str = ""
    student: str = ""
    kind: str = ""
    size: int = 0


@dataclass(frozen=True)
class Result:
    """On clean test images of the teacher's domain."""

    accuracy: Estimate
    by_seed: BySeed
    agreement: Estimate | None  # with the teacher, right or wrong; None: there is none, or it is the teacher
    examples: tuple[int, ...]  # it was trained on, by seed; of a teacher: those it has wrong
    entropy: Estimate | None  # of its labels


@dataclass(frozen=True)
class Usage:
    """On images of See-Far whose shape and toogit disagree."""

    follow_r: Estimate
    follow_n: Estimate
    chosen: Estimate  # follow_n on the images with the one toogit alone
    by_seed: BySeed  # of follow_n


@dataclass(frozen=True)
class Follows:
    """On test images of other classes than the one that the planted cast says."""

    with_cast: Estimate  # share called that class where every image has the cast
    without: Estimate  # the same images as they are
    by_seed: BySeed  # with less without, paired by seed
    added: Estimate


@dataclass(frozen=True)
class Stops:
    """A teacher that was stopped at a training accuracy, by seed."""

    target: float
    reached: tuple[bool, ...]
    steps: tuple[int, ...]
    accuracy: tuple[float, ...]


@dataclass(frozen=True)
class ToyResult:
    """Points of an original set that are right, a world each."""

    right: Estimate
    control: Estimate
    excess: Estimate  # right - control, paired by world
    agreement: Estimate  # a share of the square
    kept: Estimate
    fitted: Estimate  # the teacher's
    values: NDArray[np.int64]
    control_values: NDArray[np.int64]


@dataclass(frozen=True)
class Errors:
    """One config's result."""

    config: LearningFromErrors
    key: str
    notes: tuple[str, ...]  # about the data
    teachers: Mapping[Key, Result]
    fits: Mapping[Key, Estimate]  # accuracy of a teacher on its own training images
    students: Mapping[Key, Result]
    stops: Mapping[Key, Stops]  # of the teachers that had a target
    usage: Mapping[str, Usage]  # "teacher", "predicted", "shuffled", "clean"
    casts: Mapping[str, Follows]  # the same
    toys: Mapping[str, ToyResult]
    artifacts: Artifacts
    provenance: Mapping[str, Any]

    def of(self, part: str) -> dict[Key, Result]:
        return {key: result for key, result in self.students.items() if key.part == part}

    def data(self, part: str, kind: str = "") -> Artifact:
        """The images that a part learns from, of the first seed."""
        return self.artifacts[Cell("data", part, self.config.seeds[0], kind=kind)]

    def note(self, part: str, kind: str = "") -> str:
        """About these images."""
        return str(self.data(part, kind).metrics["note"])

    @property
    def missed(self) -> tuple[str, ...]:
        """Teachers that never reached the accuracy they were to be stopped at."""
        return tuple(
            f"Teacher {key.teacher}, seed {seed}: {100 * stops.target:.1f} % of the training images were never right; "
            f"it ended after {steps} steps at {100 * accuracy:.1f} %."
            for key, stops in self.stops.items()
            for seed, reached, steps, accuracy in zip(
                self.config.seeds, stops.reached, stops.steps, stops.accuracy, strict=True
            )
            if not reached
        )


def measured(config: LearningFromErrors, key: str, artifacts: Artifacts) -> Errors:
    """All numbers from the per-example results of the cells."""
    reader = _Reader(config, artifacts)
    teachers, students = reader.keys("teacher"), reader.keys("student")
    return Errors(
        config,
        key,
        tuple(dict.fromkeys(n for c, a in artifacts.items() if c.role == "data" and (n := a.metrics["note"]))),
        {k: reader.result("teacher", k) for k in teachers},
        {k: mean(list(reader.shares("fit", k).values())) for k in reader.keys("fit")},
        {k: reader.result("student", k) for k in students},
        {k: reader.stops(k) for k in reader.keys("network")},
        {k.kind or "teacher": reader.usage(k) for k in reader.keys("usage") if k.part == "cue"},
        {k.kind or "teacher": reader.follows(k) for k in reader.keys("usage") if k.part == "tint"},
        {k.kind: _toy(artifacts[Cell("toy", "toy", kind=k.kind)]) for k in reader.keys("toy")},
        artifacts,
        newest_provenance(artifacts.values()),
    )


class _Reader:
    """Reads shares by seed."""

    def __init__(self, config: LearningFromErrors, artifacts: Artifacts) -> None:
        self.config, self.artifacts = config, artifacts
        self._rows: dict[str, Mapping[str, NDArray[Any]]] = {}

    def keys(self, role: str) -> list[Key]:
        return list(dict.fromkeys(Key(c.part, *c[3:]) for c in self.artifacts if c.role == role))

    def rows(self, artifact: Artifact) -> Mapping[str, NDArray[Any]]:
        """Of an evaluation, sorted by id; read once."""
        if artifact.key not in self._rows:
            rows = artifact.without_images()
            order = np.argsort(rows["id"], kind="stable")
            self._rows[artifact.key] = {name: column[order] for name, column in rows.items()}
        return self._rows[artifact.key]

    def cell(self, role: str, key: Key, seed: int) -> Artifact | None:
        return self.artifacts.get(Cell(role, key.part, seed, *key[1:]))

    def shares(self, role: str, key: Key, hit: Hit | None = None, among: Hit | None = None) -> BySeed:
        """By seed, of the examples of an evaluation (`among` them) those that are right, or `hit`."""
        found = {}
        for seed in self.config.seeds:
            if (artifact := self.cell(role, key, seed)) is not None:
                rows = self.rows(artifact)
                hits, kept = (
                    rows["correct"] if hit is None else hit(rows),
                    slice(None) if among is None else among(rows),
                )
                split = "train" if role == "fit" else "test"
                images = self._data(key.part).images_of(seed, split)
                found[seed] = sampled(hits[kept].astype(bool), rows["id"][kept], images)
        return found

    def _data(self, part: str) -> DataConfig:
        """Whose images the networks of a part are tested on."""
        c = self.config
        parts = {"cue": c.cue, "tint": c.tint, "across": c.across}
        found = parts.get(part, c.errors)
        assert found is not None
        return found.data

    def result(self, role: str, key: Key) -> Result:
        by_seed = self.shares(role, key)
        if role == "teacher":
            wrong = self.shares("fit", key, lambda rows: ~rows["correct"])
            errors = tuple(round(share.mean * share.n) for share in wrong.values())
            return Result(mean(list(by_seed.values())), by_seed, None, errors, None)
        agreement = self._agreement(key) if key.kind not in ("clean", "det") else None
        sets = [self.artifacts[c] for s in self.config.seeds if (c := self._set(key, s)) in self.artifacts]
        entropy = over_seeds([float(s.metrics["entropy"]) for s in sets], sum(s.rows for s in sets)) if sets else None
        sizes = tuple(s.rows for s in sets) or ((key.size,) if key.size else ())
        return Result(mean(list(by_seed.values())), by_seed, agreement, sizes, entropy)

    def _set(self, key: Key, seed: int) -> Cell:
        return Cell("set", key.part, seed, key.teacher, "", key.kind)

    def _agreement(self, key: Key) -> Estimate | None:
        part = "errors" if key.part in ("rounds", "curve") else key.part
        found = []
        for seed in self.config.seeds:
            teacher = self.cell("teacher", Key(part, key.teacher), seed)
            student = self.cell("student", key, seed)
            if teacher is not None and student is not None:
                same = self.rows(teacher)["prediction"] == self.rows(student)["prediction"]
                found.append(sampled(same, self.rows(student)["id"], self._data(key.part).images_of(seed)))
        return mean(found) if found else None

    def usage(self, key: Key) -> Usage:
        chosen = self.config.cue.toogit if self.config.cue else 0
        toogits = self.shares("usage", key, lambda rows: rows["prediction"] == rows["toogit_class"])
        shapes = self.shares("usage", key, lambda rows: rows["prediction"] == rows["shape_class"])

        one = self.shares(
            "usage", key, lambda rows: rows["prediction"] == chosen, lambda rows: rows["toogit_class"] == chosen
        )
        r, n, chosen_n = (mean(list(by.values())) for by in (shapes, toogits, one))
        return Usage(r, n, chosen_n, toogits)

    def stops(self, key: Key) -> Stops:
        networks = [self.artifacts[Cell("network", key.part, seed, key.teacher)] for seed in self.config.seeds]
        found = [network.metrics["stopped"] for network in networks]
        return Stops(
            float(networks[0].config["recipe"]["stop_at_accuracy"]),
            tuple(bool(one["reached"]) for one in found),
            tuple(int(one["steps"]) for one in found),
            tuple(float(one["accuracy"]) for one in found),
        )

    def follows(self, key: Key) -> Follows:
        assert self.config.tint is not None
        meant = self.config.tint.cast.meant

        def called(role: str) -> PerSeed:
            return PerSeed(
                self.shares(role, key, lambda rows: rows["prediction"] == meant, lambda rows: rows["label"] != meant)
            )

        with_cast, without = called("usage"), called("student" if key.student else "teacher")
        paired = with_cast - without
        return Follows(with_cast.mean, without.mean, paired, paired.mean)


def counted(values: NDArray[Any]) -> Estimate:
    """Mean over worlds: numbers as they are, no shares."""
    return over_seeds([float(value) for value in values], len(values))


def _toy(artifact: Artifact) -> ToyResult:
    t = artifact.batch()
    right, control = t["right"].astype(np.int64), t["control"].astype(np.int64)
    return ToyResult(
        right=counted(right),
        control=counted(control),
        excess=counted(right - control),
        agreement=counted(t["agreement"]),
        kept=counted(t["kept"]),
        fitted=counted(t["fitted"]),
        values=right,
        control_values=control,
    )
