"""The one door to torchvision, which may lie beside a torch it was not compiled for.

The registries' default torchvision is compiled against the CUDA build of torch.  Beside the CPU build its
operators, which nothing here needs, do not load, and importing it fails with "operator torchvision::nms does
not exist".
"""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType

from raylab.core.later import torch

# Those for which torchvision registers fake kernels without asking whether its operators were loaded.
_BOX_OPERATORS = ("nms", "qnms")
_declared: list[torch.library.Library] = []  # a Library withdraws its operators when it is collected


@cache
def load() -> ModuleType:
    """torchvision, imported on the first call: about a second, spared where its networks are not used."""
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in _BOX_OPERATORS:
        schema = f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        library.define(schema)  # type: ignore[no-untyped-call]
    _declared.append(library)
    return importlib.import_module("torchvision")
