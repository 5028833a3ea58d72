"""What a config may say in the place of a network's name: a factory of one's own, and its weights."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from raylab.config import AnyValue, Config
from raylab.engine import objects

SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar")
Several = float | tuple[float, ...]


class OwnNetwork(Config):
    """A network of one's own: what makes it, and the weights that it has been trained to."""

    # `module:function` (or class) whose result takes images (B, C, H, W) and gives logits (B, classes).
    factory: Annotated[str, AfterValidator(objects.check_reference)]
    arguments: dict[str, AnyValue] = Field(default={})  # keyword arguments of the factory
    weights: str | None = None  # file of its state dict, .safetensors or .pt; None: it is trained here
    # Mean of pixels in [0, 1], for all or each channel: the first layer is (x - mean) / std; with `weights` what it was
    # trained with (0 and 1 where it normalises itself). None: that of the file, else of the data.
    mean: Several | None = None
    std: Several | None = None  # standard deviation of pixels, likewise
    accuracy: Annotated[float, Field(gt=0, le=1)] | None = None  # that the weights have on the test images
    # What tables call it; None: the last part of the module, and the function.
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_. -]{1,30}$")] | None = None

    @model_validator(mode="after")
    def _check(self) -> OwnNetwork:
        if (self.mean is None) != (self.std is None):
            raise ValueError("std: mean and std belong together; give both")
        for mean in self.mean if isinstance(self.mean, tuple) else (self.mean,):
            if mean is not None and not 0 <= mean <= 1:
                raise ValueError(f"mean: of pixels in [0, 1], got {mean:g}; divide mean and std of 0 to 255 by 255")
        for std in self.std if isinstance(self.std, tuple) else (self.std,):
            if std is not None and std <= 0:
                raise ValueError(f"std: above 0, got {std:g}")
        if self.weights is None:
            if self.accuracy is not None:
                raise ValueError("accuracy: it is that of weights, got no weights; give them, or remove it")
            return self
        if not self.weights.endswith(SUFFIXES):
            raise ValueError(f"weights: a file of one of {', '.join(SUFFIXES)}, got {self.weights!r}")
        if self.accuracy is None:
            raise ValueError(
                "accuracy: required beside weights: what they reach on the test images. It is measured before they are "
                "used, for a wrong normalisation shows in nothing else"
            )
        return self

    @property
    def label(self) -> str:
        """What tables call it."""
        module, _, function = self.factory.partition(":")
        return self.name or f"{module.rpartition('.')[2]}.{function}"
