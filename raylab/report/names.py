"""What data sets, and the two features of See-Far, are called on pages."""

from __future__ import annotations

from raylab.report.read import ByRow

NAMES = {
    "digits": "Digits",
    "seefar": "See-Far",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "cifar10_lossless_subset": "CIFAR-10, lossless subset",
    "photos": "Patches of photographs",
    "cifar10_1": "CIFAR-10.1",
    "cifar10_c": "CIFAR-10-C",
    "constructed_datasets": "Released sets of Ilyas et al.",
    "restricted_imagenet": "Restricted ImageNet",
    "parquet": "Parquet images",
    "npz": "NumPy arrays",
    "exported": "Exported set",
    "own": "Own images",
    "image_folder": "Image folder",
}
ROBUST, NON_ROBUST = "robust feature", "non-robust feature"
FEATURES = {ROBUST: "shape", NON_ROBUST: "toogit"}  # by name, what See-Far's columns call it


def calls(column: str) -> ByRow:
    """Whether an image is called by the class of a feature: "shape" or "toogit"."""
    return lambda rows: rows["prediction"] == rows[f"{column}_class"]
