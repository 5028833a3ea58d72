"""Factories for networks of libraries whose own constructors a config cannot call."""

from __future__ import annotations

from typing import Any


def hugging_face(model_type: str, **config: Any) -> Any:
    """`AutoModelForImageClassification` of transformers, from a config and not from a folder: the fields of its
    `config.json`, which then enter the key.  `num_labels` is the number of classes, beside no `id2label`.

    Raises ValueError where there is no such type.
    """
    from transformers import AutoConfig, AutoModelForImageClassification  # an optional library

    return AutoModelForImageClassification.from_config(AutoConfig.for_model(model_type, **config))
