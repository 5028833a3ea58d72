"""What tests/own_factories.py imports: a part of its fingerprint."""

from __future__ import annotations

from torch import nn


def head(features: int, num_classes: int) -> nn.Linear:
    return nn.Linear(features, num_classes)
