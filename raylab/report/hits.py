"""Of which images the shares in a manifest are: hits by image, read from the rows, so that errors that seeds share are
known.

A share with its n alone knows nothing of other seeds, and its interval takes their images for their own.  Of networks
that were tested on the same 100 images, 60 % of the answers decided by the image, five seeds' intervals of 95 % then
cover 60 %; by image they cover 95.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raylab.core.statistics import Estimate, sampled

Columns = Mapping[str, NDArray[Any]]

# By metric of a manifest: what is a hit.
HITS: Mapping[str, Callable[[Columns], Any]] = {
    "success": lambda rows: rows["source_prediction"] == rows["label"],
    "success_of_the_other_iterate": lambda rows: rows["other_prediction"] == rows["label"],
    "says_original": lambda rows: rows["neighbour_label"] == rows["source_label"],
    "says_target": lambda rows: rows["neighbour_label"] == rows["label"],
    "shape_kept": lambda rows: rows["shape_read"] == rows["shape_class"],
    "toogit_is_target": lambda rows: rows["toogit_read"] == rows["label"],
}
# Of images whose target is another class than their own; the others are of all.
OF_CHANGED = ("success", "success_of_the_other_iterate", "says_target", "toogit_is_target")


def share(
    rows: Columns,
    metric: str,  # of HITS
    images: str,  # of `statistics.Examples`
    aim: str = "",  # of an attack: "untargeted" and "own" have no other class to lead to, so all images count
) -> Estimate:
    """The metric of the artifact whose rows these are, with what each image adds to its error."""
    hits = np.asarray(HITS[metric](rows), dtype=bool)
    if aim == "untargeted":
        hits = ~hits
    if metric in OF_CHANGED and aim not in ("untargeted", "own"):
        kept = rows["label"] != rows["source_label"]
        return sampled(hits[kept], rows["id"][kept], images)
    return sampled(hits, rows["id"], images)


def is_robust(rows: Columns, place: int) -> NDArray[np.bool_]:
    """Under the worst of PGD and the ensemble at a radius, of `rows` of a robustness artifact; PGD alone where the
    ensemble was not asked (nan)."""
    return np.asarray(np.fmin(rows["pgd_margin"][:, place], rows["ensemble_margin"][:, place]) > 0)
