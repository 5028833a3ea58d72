"""Robust and non-robust sets for the terminal, as text that fits a hundred columns, and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence

from raylab.core.statistics import Estimate
from raylab.report.numbers import number, share
from raylab.report.robust.layers import as_table as layer_table
from raylab.report.robust.table import COMPARED, LABELS, Row, Said, Table
from raylab.report.robust.verdict import verdict
from raylab.report.terminal import table, wrapped

OTHERS = {
    "l2": "L2",
    "linf": "Linf",
    "l1": "L1",
    "l2_low": "L2, low frequencies",
    "l2_high": "L2, high frequencies",
    "shift": "shift, pixels",
    "rotate": "rotation, degrees",
}
LISTED = 12  # warnings that are spelled out; more are counted


def as_text(found: Table) -> str:
    """A block for each student architecture, what its set is worth, the verdicts, and all warnings."""
    config = found.config
    title = found.title
    blocks = [f"{title}\n{'=' * len(title)}"]
    blocks += [wrapped(f"About the data: {found.note}")] if found.note else []
    blocks.append("\n".join(wrapped(line, "- ") for line in notes(found)))
    for student in config.students:
        blocks.append(f"students {student}: accuracy, %; attacked: of each image the worst\n{_main(found, student)}")
    blocks.append(f"adversarial training, accuracy, %\n{_main(found, None)}")
    known = "; whom it follows where they disagree" if any(row.usage for row in found.rows) else ""
    blocks.append(f"radius {config.eps:g}: accuracy under PGD and under the ensemble, %{known}\n{_attacks(found)}")
    if config.robustness.others:
        blocks.append(f"other sets of perturbations (size): accuracy under PGD, mean, %\n{_others(found)}")
    blocks.append(f"students of D_R under PGD of radius {config.eps:g}, %\n{_shift(found)}")
    blocks.append(f"inversions: relative residual of the features\n{_inversions(found)}")
    if found.layers is not None:
        blocks.append(
            f"R(f) of the layers of {config.source}: how far an attack of radius {found.layers.eps:g} moves a layer,\n"
            f"over how far apart it has two images\n{layer_table(found.layers)}\n\n{wrapped(found.layers.sentence)}"
        )
    if warned := listed(found.warnings):
        blocks.append("Warnings\n" + "\n".join(wrapped(line, "- ") for line in warned))
    verdicts = [(student, verdict(found, student)) for student in config.students]
    blocks.append(
        "What the numbers allow\n"
        + "\n".join(wrapped(f"{student} [{v.badge}]: {v.sentence}", "- ") for student, v in verdicts)
    )
    return "\n\n".join(blocks) + "\n"


def notes(found: Table) -> list[str]:
    """What a run of this size can show, and which of two numbers counts."""
    config = found.config
    first = found.rows[0]
    seeds = len(config.seeds)
    trained = found.artifacts[next(cell for cell in found.artifacts if cell.role == "data")].rows
    tested, attacked = first.clean.n // seeds, first.attacked_clean.n // seeds
    said = [
        f"{trained:,} training images a seed; accuracy on {tested:,} test images, robust accuracy on {attacked:,} of "
        f"them; {seeds} seed{'' if seeds == 1 else 's'}."
    ]
    if seeds == 1:
        said.append("One seed says nothing of another network, split or world: no verdict is given.")
    gap, networks = found.overestimate
    if networks:
        said.append(
            f"PGD alone is too kind: the ensemble finds more in {networks} of {len(found.rows) * seeds} networks, up "
            f"to {share(gap)} points over seeds. What counts is, of each image, the worst of both."
        )
    return said


def listed(said: Sequence[Said]) -> list[str]:
    """Warnings as lines, the first few in full."""
    lines = [f"{one.where}, seed {one.seed}: {one.text}" for one in said[:LISTED]]
    return lines + ([f"and {len(said) - LISTED} more, all in the artifacts"] if len(said) > LISTED else [])


def _main(found: Table, student: str | None) -> str:
    eps = found.config.robustness.eps
    rows = [r for r in found.rows if (r.set == "adversarial") == (student is None) and student in (None, r.student)]
    lines = [[r.label if student else r.student, number(r.clean), *(number(r.at[e].worst) for e in eps)] for r in rows]
    return table(["trained on" if student else "network", "clean", *(f"radius {e:g}" for e in eps)], lines)


def _attacks(found: Table) -> str:
    lines = []
    for row in found.rows:
        at = row.at[found.config.eps]
        ensemble = "not asked" if at.ensemble is None else number(at.ensemble)
        usage = [number(row.usage[name]) for name in ("follow_r", "follow_n") if row.usage]
        lines.append([_name(row), number(at.pgd), ensemble, number(at.worst), *usage])
    header = ["", "PGD", "ensemble", "worst", "shape", "toogit"]
    return table(header[: len(lines[0])], lines)


def _others(found: Table) -> str:
    sizes = found.config.robustness.others
    lines = [[_name(row), *(share(row.others[name].mean) for name in sizes)] for row in found.rows]
    return table(["", *(f"{name} {size:g}" for name, size in sizes.items())], lines)


def _shift(found: Table) -> str:
    lines = [[s.student, number(s.own), number(s.constructed), number(s.test)] for s in found.shifts]
    return table(["student", "own images", "test made as D_R", "test"], lines)


def _inversions(found: Table) -> str:
    lines = [
        [LABELS[m.set], str(m.n), f"{m.median:.3f}", f"{m.p95:.3f}", share(m.unconverged), m.iterate]
        for m in found.made
    ]
    return table(["set", "n", "median", "95th percentile", "above 0.2, %", "iterate"], lines)


def _name(row: Row) -> str:
    return f"{row.student}, {row.label}"


def as_csv(found: Table) -> str:
    """One line for each (set, student): every mean as a share with its standard error, differences and the verdict.

    An empty cell was not measured.
    """
    lines = [_line(found, row) for row in found.rows]
    names = list(dict.fromkeys(name for line in lines for name in line))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue()


def _line(found: Table, row: Row) -> Mapping[str, object]:
    line: dict[str, object] = {"set": row.set, "student": row.student, "seeds": row.clean.seeds}
    for name, estimate in _estimates(found, row):
        line |= {name: _plain(estimate.mean), f"{name} se": _plain(estimate.se), f"{name} n": estimate.n}
    line["warnings"] = len(row.warnings)
    if row.set == "r_image":
        judged = verdict(found, row.student)
        line |= {"verdict": judged.badge, "sentence": judged.sentence}
    return line


def _estimates(found: Table, row: Row) -> Iterator[tuple[str, Estimate]]:
    yield "clean", row.clean
    for eps, at in row.at.items():
        yield f"pgd {eps:g}", at.pgd
        if at.ensemble is not None:
            yield f"ensemble {eps:g}", at.ensemble
        yield f"worst {eps:g}", at.worst
    yield from row.others.items()
    yield from row.usage.items()
    if row.set == "r_image":
        differences = found.differences[row.student]
        yield from ((f"above {of}", differences[of]) for of in COMPARED if of in differences)


def _plain(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"
