"""What learning from errors says about rows 18 to 20."""

from __future__ import annotations

from collections.abc import Iterator

from raylab.core.statistics import Estimate
from raylab.recipes.errors import Cell
from raylab.report.errors.table import Errors, Key
from raylab.report.estimates import difference
from raylab.report.scoreboard.evidence import Evidence
from raylab.report.scoreboard.protocol import differing, named, of_data, of_networks

NORMALISED = ("dataset", "image")  # the article normalises Fashion-MNIST "as MNIST": whole or by image is not stated


def evidence(errors: Errors) -> Iterator[Evidence]:
    """Of every teacher and student, way and protocol of the toy that was run."""
    yield from _errors(errors)
    yield from _toys(errors)
    yield from _across(errors)


def _errors(errors: Errors) -> Iterator[Evidence]:
    part = errors.config.errors
    if part is None:
        return
    note = errors.notes_of("errors")
    data = named(part.data, note)
    for teacher in part.teachers:
        for student in part.students:
            key = Key("errors", teacher.called, student, "predicted")
            on = f"{data}, {teacher.called} → {student}"
            protocol = differing(
                (
                    of_data(part.data, "cifar10", note, errors.rows("errors")),
                    of_networks((teacher.network, student), "resnet18"),
                    "an adversarially trained teacher" if teacher.recipe.adversary else "",
                )
            )
            yield Evidence(18, "teacher, training set", errors.fits[Key("errors", teacher.called)], on, protocol)
            yield Evidence(
                18, "teacher, test set", errors.teachers[Key("errors", teacher.called)].accuracy, on, protocol
            )
            yield Evidence(18, "student", errors.students[key].accuracy, on, protocol)
            yield Evidence(18, "right pairs left in the set", _right_pairs(errors, key), on, protocol)


def _right_pairs(errors: Errors, key: Key) -> Estimate:
    """Counted in the sets themselves, over all seeds."""
    right = rows = 0
    for seed in errors.config.seeds:
        made = errors.artifacts[Cell("set", key.part, seed, key.teacher, "", key.kind)].without_images()
        right += int((made["label"] == made["source_label"]).sum())
        rows += len(made["label"])
    return Estimate(float(right), 0.0, 0, len(errors.config.seeds))
