"""The tables of a matrix that are of one student, set or network a row."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from raylab.experiments.transfer.measure import CONTROLS, NOTHING, Matrix, Row
from raylab.report.blocks import Table, each
from raylab.report.drawing import seeds_phrase
from raylab.report.per_seed import PerSeed
from raylab.report.values import Singles, Spanned

VIEWS = {
    "pooled": "all pairs",
    "off_diagonal": "different architectures",
    "within_source": "within each source",
    "within_source_off_diagonal": "within, different architectures",
}
RATES = {  # of transfer: headers, in the order of the table
    "targeted": "Targeted: says the target",
    "targeted_given_fooled": "The same, given fooled",
    "targeted_misclassified": "Targeted: errs",
    "targeted_misclassified_given_fooled": "Errs, given fooled",
    "untargeted": "Untargeted: errs",
    "untargeted_given_fooled": "Untargeted: errs, given fooled",
    "untargeted_same_class": "Makes the source’s error",
    "untargeted_same_class_given_fooled": "Makes the source’s error, given fooled",
}
PAIR = {"Kind": lambda row: row.kind, "Source → student": lambda row: row.pair}


def accuracy(found: Matrix) -> Table:
    """Sources by students, the controls below the sets themselves."""
    c, lines = found.config, dict[tuple[str, str], dict[str, PerSeed]]()
    for row in found.rows:
        lines.setdefault((row.kind, row.source), {})[row.target] = row.accuracy
    for row in sorted(found.rows, key=lambda row: c.every_kind.index(row.kind)):
        for name, of in row.controls.items():
            whose = f" {row.source}" if name != "unperturbed" or c.keep != "all" else ""
            lines.setdefault((row.kind, f"{CONTROLS[name]}{whose}"), {})[row.target] = of
    ranked = sorted(lines.items(), key=lambda line: c.every_kind.index(line[0][0]))
    return Table.of(
        "accuracy",
        f"Accuracy of students (columns) by what made their set, in percent, ± standard error{seeds_phrase(c.seeds)}.",
        ranked,
        {
            "Kind": lambda line: line[0][0],
            "Set from": lambda line: line[0][1],
            **each(c.targets, "{}", lambda name, line: line[1].get(name, NOTHING)),
        },
        keys=2,
    )


def correlations(found: Matrix) -> Table:
    rows = [(kind, view, of[view]) for kind, of in found.correlated.items() for view in VIEWS]
    return Table.of(
        "correlations",
        "Correlation of targeted transfer with the accuracy of the student, one point a pair and seed; brackets: 95 % "
        "interval over resampled sources and targets.",
        rows,
        {
            "Kind": lambda row: row[0],
            "Points": lambda row: VIEWS[row[1]],
            "Pearson": lambda row: row[2].pearson,
            "Spearman": lambda row: row[2].spearman,
            "n": lambda row: row[2].n,
        },
        keys=2,
    )


def leakage(found: Matrix) -> Table:
    return Table.of(
        "leakage",
        "The student against that of the leakage-only set, whose random patterns show nothing of their class: only "
        "which images it leaves unperturbed can be learned from it. The two are not additive, so one is no share of "
        "the other. Brackets: 95 % interval, paired by seed.",
        (row for row in found.rows if "leakage" in row.above),
        {
            **PAIR,
            "Images left unperturbed, %": lambda row: row.unperturbed,
            "Leakage-only set, %": lambda row: row.controls["leakage"],
            "Set itself, %": lambda row: row.accuracy,
            "Difference, points": lambda row: Spanned(row.above["leakage"]),
        },
        keys=2,
    )


def robustness(found: Matrix) -> Table:
    rows = [("clean images", name, of) for name, of in found.robustness.items() if of]
    rows += [(f"{row.kind} from {row.source}", row.target, row.robustness) for row in found.rows if row.robustness]
    radii = list(rows[0][2])
    return Table.of(
        "robustness",
        "Robust accuracy in percent, by radius: did the students only swap one set of features for another? Beside "
        "them independent networks of their architecture, trained on the clean images.",
        rows,
        {
            "Trained on": lambda row: row[0],
            "Network": lambda row: row[1],
            **{f"Radius {eps:g}": partial(lambda eps, row: row[2][eps], eps) for eps in radii},
        },
        keys=2,
    )


def reliance(found: Matrix) -> Table:
    return Table.of(
        "reliance",
        "Set: what the oracles read on the constructed images. Student: whose class it says on images where the two "
        "features disagree (feature reliance). In percent.",
        (row for row in found.rows if row.reliance),
        {
            **PAIR,
            "Set: non-robust feature is the target’s": lambda row: row.oracles["turned"],
            "Set: robust feature kept": lambda row: row.oracles["kept"],
            "Student: non-robust feature": lambda row: row.reliance["non_robust"],
            "Student: robust feature": lambda row: row.reliance["robust"],
            "Accuracy": lambda row: row.accuracy,
        },
        keys=2,
    )


def students(found: Matrix) -> Table:
    return Table.of(
        "students",
        f"Students on clean test images, in percent: mean ± standard error{seeds_phrase(found.config.seeds)}. "
        "Next-class rate (p1 in the papers’ tables): the share of test images called label + 1.",
        found.rows,
        {
            **PAIR,
            "Accuracy": lambda row: row.accuracy,
            "Single seeds": lambda row: Singles(row.accuracy),
            "Next-class rate (p1)": lambda row: row.p1,
            **{CONTROLS[name].capitalize(): _get("controls", name) for name in CONTROLS},
            "Robust source: next-class rate": lambda row: row.robust.p1 if row.robust else None,
            "n": lambda row: row.accuracy.mean.n,
            "Seeds": lambda row: row.accuracy.mean.seeds,
        },
        keys=2,
        bold="Accuracy",
    )


def sets(found: Matrix) -> Table:
    """What belongs to a set whoever learns from it."""
    first: dict[tuple[str, str], Row] = {}
    for row in sorted(found.rows, key=lambda row: row.robust is None):
        first.setdefault((row.kind, row.source), row)
    attacked = [name for name in CONTROLS if name != "leakage"]
    return Table.of(
        "sets",
        "The sets and their sources, in percent. Attack success rate: the source says the target, of images whose "
        "target is another class. Robust accuracy: under the attack of the sets itself, untargeted, on test images.",
        [first[kind, source] for kind in found.config.every_kind for source in found.config.sources],
        {
            "Kind": lambda row: row.kind,
            "Source": lambda row: row.source,
            "Attack success rate": lambda row: row.success,
            "At the other iterate": lambda row: row.success_other,
            **{f"On {CONTROLS[name]}": _get("control_success", name) for name in attacked},
            "Source: accuracy": lambda row: found.sources[row.source],
            "Source: robust accuracy": lambda row: row.robust_accuracy,
            "Robust source: accuracy": lambda row: row.robust.accuracy if row.robust else None,
            "Robust source: robust accuracy": lambda row: row.robust.robust_accuracy if row.robust else None,
            "Random-label source: fit of its labels": lambda row: row.noise_fit,
            "Leakage-only set: unperturbed": lambda row: row.unperturbed,
            "1-NN: original": lambda row: row.neighbours_original,
            "1-NN: target": lambda row: row.neighbours_target,
        },
        keys=2,
        bold="Attack success rate",
    )


def transfer(found: Matrix) -> Table:
    return Table.of(
        "transfer",
        "Transfer to an independent network of the student’s architecture, in percent, of all test images, and of "
        "those that it has right when clean and on which the source is fooled (n of the targeted ones).",
        found.of(found.config.every_kind[0]),  # the same for all kinds: it is a property of two networks
        {
            "Source → network": lambda row: row.pair,
            **{header: _get("transfer", name) for name, header in RATES.items()},
            "n, given fooled": lambda row: row.transfer.get("targeted_given_fooled", NOTHING).mean.n,
        },
        bold="Targeted: says the target",
    )


def networks(found: Matrix) -> Table:
    return Table.of(
        "networks",
        "Accuracy on clean test images of the sources, and of independent networks of the students’ architectures, in "
        "percent.",
        dict.fromkeys((*found.sources, *found.standard)),
        {
            "Network": lambda name: name,
            "As source": lambda name: found.sources.get(name, NOTHING),
            "Independent": lambda name: found.standard.get(name, NOTHING),
        },
    )


def _get(field: str, name: str) -> Callable[[Row], PerSeed]:
    return lambda row: getattr(row, field).get(name, NOTHING)
