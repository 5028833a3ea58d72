"""What is kept of a matrix besides its page: the table, the text and every figure, as bytes by file name."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping

from raylab.core.statistics import Estimate
from raylab.report.transfer.gallery import Gallery
from raylab.report.transfer.matrix import CONTROLS, Matrix, Row
from raylab.report.transfer.text import as_text
from raylab.report.transfer.verdict import verdict


def files(gallery: Gallery) -> dict[str, bytes]:
    """`matrix.csv`, `matrix.txt`, and figures as SVG: for a tracker, a README or a talk."""
    matrix = gallery.matrix
    kept = {"matrix.csv": as_csv(matrix).encode(), "matrix.txt": as_text(matrix).encode()}
    for picture in gallery.pictures:
        kept[f"figures/{picture.name}.svg"] = picture.svg
    return kept


def as_csv(matrix: Matrix) -> str:
    """One line for each (source, target, kind): every mean as a share with its standard error, and the verdict.

    An empty cell was not measured.
    """
    stream = io.StringIO()
    lines = [_line(matrix, row) for row in matrix.rows]
    names = list(dict.fromkeys(name for line in lines for name in line))
    writer = csv.DictWriter(stream, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue()


def _line(matrix: Matrix, row: Row) -> Mapping[str, object]:
    found = verdict(row, matrix.config.data, matrix.neighbours_clean)
    measured: dict[str, Estimate | None] = {
        "accuracy": row.accuracy,
        "p1": row.p1,
        "attack success": row.success,
        "attack success, other iterate": row.success_other,
        **{f"attack success of {name}": estimate for name, estimate in row.control_success.items()},
        "training accuracy on random labels": row.noise_fit,
        **{f"control {name}": row.controls.get(name) for name in CONTROLS},
        **{f"above {name}": row.above.get(name) for name in CONTROLS},
        "above p1": row.above_p1,
        "source withstands": row.withstands,
        "robust source accuracy": row.robust.accuracy if row.robust else None,
        "robust source withstands": row.robust.withstands if row.robust else None,
        "robust source p1": row.robust.p1 if row.robust else None,
        "leakage-only set left alone": row.untouched,
        **{f"robust accuracy {eps:g}": estimate for eps, estimate in row.robustness.items()},
        "neighbours original": row.neighbours_original,
        "neighbours target": row.neighbours_target,
        **{f"transfer {name}": rate for name, rate in row.transfer.items()},
        **row.usage,
    }
    line: dict[str, object] = {"source": row.source, "target": row.target, "kind": row.kind}
    line |= {"n": row.accuracy.n, "seeds": row.accuracy.seeds}
    for name, estimate in measured.items():
        mean, se = (None, None) if estimate is None else (estimate.mean, estimate.se)
        line |= {name: _plain(mean), f"{name} se": _plain(se), f"{name} n": "" if estimate is None else estimate.n}
    line |= {"verdict": found.code, "sentence": found.sentence}
    return line | ({"truth": found.truth.code, "truth sentence": found.truth.sentence} if found.truth else {})


def _plain(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.6g}"
