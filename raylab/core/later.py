"""torch, and what is built upon its classes, loaded when something of it is first used.

A plan, a help text and a run whose results are all there compute nothing, and need not wait one to three seconds for
torch. So no other module imports torch, but for those which derive classes from its own: these import it, and are
themselves taken from here.

    from raylab.core.later import F, Tensor, networks, nn, torch
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    import torch.nn.functional as F
    from torch import Tensor, nn

    from raylab.core import blocks, compiled, last_relu, networks, squares

__all__ = ["F", "Later", "Tensor", "blocks", "compiled", "last_relu", "networks", "nn", "squares", "torch"]


class Later(ModuleType):
    """A module that is imported when one of its names is asked for. Then it has all of them, as the module itself."""

    def __getattr__(self, name: str) -> Any:
        module = importlib.import_module(self.__name__)
        vars(self).update(vars(module))
        return getattr(module, name)


if not TYPE_CHECKING:
    torch, nn, F = map(Later, ("torch", "torch.nn", "torch.nn.functional"))
    Tensor = Any  # for annotations; `isinstance` takes torch.Tensor
    blocks, compiled, last_relu, networks, squares = (
        Later(f"raylab.core.{name}") for name in ("blocks", "compiled", "last_relu", "networks", "squares")
    )
