"""The controls as text for a terminal, and as a table for a program."""

from __future__ import annotations

import csv
import io
import math

from raylab.core.statistics import Estimate
from raylab.report.controls.table import BADGES, Controls
from raylab.report.estimates import interval, spanned
from raylab.report.names import NAMES
from raylab.report.numbers import number
from raylab.report.terminal import table, wrapped


def heading(controls: Controls) -> str:
    """Data, source, student and attack."""
    c = controls.config
    norm = {"l2": "L2", "linf": "Linf"}[c.attack.norm]
    return f"{NAMES.get(c.data.name, c.data.name)}: {c.source} teaches {c.student}, {norm} radius {c.attack.eps:g}"


def about_seeds(controls: Controls) -> str:
    """What the intervals rest on."""
    count = len(controls.config.seeds)
    if count == 1:
        return "One seed: it says nothing of other networks, and no sign is decided."
    return f"{count} seeds; differences are paired by seed, brackets are 95 % intervals over seeds."


def as_text(controls: Controls) -> str:
    """A line for every control, the curve of the robust source, and the verdicts in words."""
    title = heading(controls)
    blocks = [f"{title}\n{'=' * len(title)}", about_seeds(controls)]
    blocks += [wrapped(f"About the data: {controls.note}")] if controls.note else []
    blocks += [wrapped(f"Warning: {line}") for line in controls.warnings]
    rows = [
        [row.title, number(row.measured[1]), number(row.beside[1]), spanned(row.difference), BADGES[row.code]]
        for row in controls.rows
    ]
    blocks.append(table(["%", "control", "beside", "difference", "sign"], rows))
    if (curve := controls.curve) is not None:
        lines = [
            [f"{eps:g}", *(number(part[of][i]) for of in ("robust", "standard") for part in (curve.accuracy, curve.p1))]
            for i, eps in enumerate(curve.eps)
        ]
        header = ["det, % by eps", "robust source", "its p1", "standard source", "its p1"]
        radius = "none of these" if curve.admissible is None else f"eps {curve.admissible:g}"
        blocks.append(f"{table(header, lines)}\nadmissible up to: {radius} (robust source at or below chance)")
    blocks.append(
        "\n".join(wrapped(f"{row.title} [{BADGES[row.code]}]: {row.sentence}", "- ") for row in controls.rows)
    )
    return "\n\n".join(blocks) + "\n"


def as_csv(controls: Controls) -> str:
    """One line a control: every mean as a share with its standard error, the difference with its interval."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["control", "kind", "what", "mean", "se", "low", "high", "n", "seeds", "verdict"])
    for row in controls.rows:
        measured = [row.measured, row.beside, ("difference", row.difference), *row.others]
        for name, estimate in measured:
            writer.writerow([row.control, row.kind, name, *_plain(estimate), BADGES[row.code]])
    if (curve := controls.curve) is not None:
        for what, found in (("accuracy", curve.accuracy), ("p1", curve.p1), ("success", curve.success)):
            for of, estimates in found.items():
                for eps, estimate in zip(curve.eps, estimates, strict=True):
                    writer.writerow([f"{of} source", "det", f"{what} at {eps:g}", *_plain(estimate), ""])
    return stream.getvalue()


def _plain(estimate: Estimate) -> list[str]:
    values = [estimate.mean, estimate.se, *interval(estimate)]
    return ["" if math.isnan(v) else f"{v:.6g}" for v in values] + [str(estimate.n), str(estimate.seeds)]
