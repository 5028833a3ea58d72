"""What data sets are called on pages."""

from __future__ import annotations

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
