"""Read files of `torch.save` without trusting them.

Such a file is a pickle, which is a program. PyTorch's own restricted reader (`weights_only`) takes tensors and plain
containers, in today's format and in that of 2019, and refuses everything else. Checkpoints that were saved by dill may
hold code beside their tensors; `keep` makes a copy without it, and runs none of it.
"""

from __future__ import annotations

import pickle
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

from raylab.core.later import torch
from raylab.data.reader import DataError

# A damaged or hostile file fails in any of these ways.
_DAMAGED = (
    pickle.UnpicklingError,
    EOFError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    OverflowError,
    MemoryError,
    AssertionError,
)
_ADVICE = ("Weights only load failed", "Check the documentation")  # of PyTorch: to trust the file


def load(path: Path) -> Any:
    """Tensors, on the CPU wherever they were saved, in plain containers.

    Raises DataError where the file holds anything else, without having executed it.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        copied = f'python -c "from raylab.data import tensors; tensors.keep({str(path)!r}, {"tensors.pt"!r})"'
        remedy = f"if it is a checkpoint with more than tensors, copy these alone: {copied}; else "
        raise DataError(
            f"{path}: refused as a file of tensors: {_first_reason(error)}; "
            f"{remedy * ('PytorchStreamReader' not in str(error))}copy the original file again"
        ) from error


def keep(path: str | Path, copy: str | Path) -> None:
    """Write the tensors, numbers and text of a file into a copy that `load` takes; all else becomes None.

    Nothing of the file is executed: no name that it asks for is resolved, but for those that rebuild a tensor.
    Raises DataError where the file is damaged, one object whole, or in a format that PyTorch would run.
    """
    _refuse_what_torch_would_run(Path(path))
    restricted: Any = ModuleType("tensors_only")
    restricted.Unpickler, restricted.load = _TensorsOnly, lambda file, **given: _TensorsOnly(file, **given).load()
    try:
        found = torch.load(path, map_location="cpu", pickle_module=restricted, weights_only=False)
    except _DAMAGED as error:
        raise DataError(f"{path}: no readable file of tensors ({error}); copy the original file again") from error
    if (plain := _plain(found)) is None:
        raise DataError(f"{path}: no tensors outside an object, as of a whole network; save network.state_dict() of it")
    torch.save(plain, copy)


def _first_reason(error: BaseException) -> str:
    """Of PyTorch's message, what the file asked for; its advice to trust the file is left out."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and "weights_only" not in line and not line.startswith(_ADVICE)]
    reason = (told or [type(error).__name__])[0].removeprefix("WeightsUnpickler error: ")
    return reason.split(". ", 1)[0].rstrip(".")


class _Foreign(type):
    """The class of the stand-in: whatever a pickle does to it, nothing happens, and it is what comes out."""

    def __call__(cls, *_: object, **__: object) -> Any:
        return cls

    def __setitem__(cls, *_: object) -> None:
        pass


class _StandIn(metaclass=_Foreign):
    """Takes the place of a class, function or object that is no tensor."""

    def __new__(cls, *_: object, **__: object) -> Any:
        return cls

    @classmethod
    def __setstate__(cls, *_: object) -> None:
        pass

    append = extend = add = update = __setstate__


class _TensorsOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch", "Size"): torch.Size,
            ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
            ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
        }
        return known.get((module, name), _StandIn)


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if isinstance(key, str | int)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float) else None


def _refuse_what_torch_would_run(path: Path) -> None:
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    with path.open("rb") as stream:
        zipped = stream.read(4) == b"PK\x03\x04"
    if zipped and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("constants.pkl") for name in archive.namelist()):
                raise DataError(f"{path}: a TorchScript archive is a program; save its state_dict with torch.save")
    if not zipped and tarfile.is_tarfile(path):
        raise DataError(f"{path}: of a format that ended in 2017; save it again with a later PyTorch")
