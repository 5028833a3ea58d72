"""The two features of See-Far as reports call them, and which of them a network's answer follows."""

from __future__ import annotations

from raylab.report.read import ByRow

ROBUST, NON_ROBUST = "robust feature", "non-robust feature"
FEATURES = {ROBUST: "shape", NON_ROBUST: "toogit"}  # by name, what See-Far's columns call it


def calls(column: str) -> ByRow:
    """Whether an image is called by the class of a feature: "shape" or "toogit"."""
    return lambda rows: rows["prediction"] == rows[f"{column}_class"]
