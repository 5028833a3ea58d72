"""Weights of networks in the layouts in which people keep them, as the state dict that a given network takes.

Plain state dicts and torchvision's files; an entry `state_dict`, `model`, `net` and their like beside an epoch and an
optimizer; the prefixes of DataParallel (`module.`), torch.compile (`_orig_mod.`) and wrappers (`model.`); the
AttackerModel of MadryLab/robustness (`module.model.`, `module.attacker.model.`, `module.normalizer.new_mean`); the
normalisers of RobustBench's models (`mu` and `sigma`, `normalize.mean`). Files hold tensors alone: none is executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raylab.core.later import Tensor, torch
from raylab.data import tensors
from raylab.data.reader import DataError

ENTRIES = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "1.")  # the last: of Sequential(normalisation, network)
COPY = "attacker."  # of an AttackerModel: the same tensors again
NORMALISER = re.compile(r"(?:.*\.)?(?:new_)?(mean|std|mu|sigma)")
DEPTH = 3  # prefixes, one inside another
NAMED = 3  # faults in a message

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a network, and the normalisation that is kept beside them, a value for each channel."""

    state: State
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def read(path: Path, own: State) -> Checkpoint:
    """The weights in a file, by the names of the state dict `own`.

    Raises DataError where the file holds more than tensors, or those of another network.
    """
    state = _entry(_load(path), path)
    found = max(_unwrapped(state), key=lambda one: len(own.keys() & one.keys()))  # of equals the first, least unwrapped
    kept = {name: tensor for name, tensor in found.items() if name in own}
    rest = {name: tensor for name, tensor in _rest(state, found) if name not in own}
    mean, std = (_constant(rest, names) for names in (("mean", "mu"), ("std", "sigma")))
    foreign = [name for name in rest if not (NORMALISER.fullmatch(name) and mean and std)]
    for name, tensor in own.items():  # counts of batches, which no result depends on and old files lack
        if name.endswith("num_batches_tracked"):
            kept.setdefault(name, tensor)
    _check(kept, foreign, own, path)
    return Checkpoint(kept, mean, std)


def _load(path: Path) -> Any:
    if path.suffix != ".safetensors":
        return tensors.load(path)
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise DataError(
            f"{path}: the package safetensors reads it, and is not installed; install it (pip install safetensors), or "
            "save the state dict with torch.save"
        ) from error
    try:
        return load_file(path)
    except Exception as error:  # of its own kinds
        raise DataError(f"{path}: no readable safetensors file ({error}); copy the original file again") from error


def _entry(read: Any, path: Path) -> State:
    """The state dict in what was read: itself, or the entry that holds it."""
    if not isinstance(read, Mapping):
        raise DataError(f"{path}: a state dict is needed, got {type(read).__name__}; save network.state_dict()")
    inside = {name: one for name, one in read.items() if isinstance(one, Mapping) and _is_state(one)}
    known = [name for name in ENTRIES if name in inside] or (list(inside) if len(inside) == 1 else [])
    if _is_state(read) or known:
        return dict(read if _is_state(read) else inside[known[0]])
    raise DataError(
        f"{path}: no state dict: its tensors are neither the file itself nor at {', '.join(ENTRIES)}, got keys "
        f"{sorted(map(str, read))[:20]}; save network.state_dict() alone"
    )


def _is_state(read: Mapping[Any, Any]) -> bool:
    return bool(read) and all(isinstance(name, str) and isinstance(one, torch.Tensor) for name, one in read.items())


def _unwrapped(state: State, depth: int = 0) -> Iterator[State]:
    """The state dict itself, then what is left of it inside its prefixes."""
    yield state
    for prefix in PREFIXES if depth < DEPTH else ():
        if inside := {name.removeprefix(prefix): one for name, one in state.items() if name.startswith(prefix)}:
            yield from _unwrapped(inside, depth + 1)


def _rest(state: State, found: State) -> Iterator[tuple[str, Tensor]]:
    """All tensors but those that were found under some prefix, and but copies of these."""
    taken = {id(one) for one in found.values()}
    yield from found.items()
    for name, tensor in state.items():
        if id(tensor) not in taken and COPY not in name:
            yield name, tensor


def _constant(state: State, names: tuple[str, ...]) -> tuple[float, ...] | None:
    """A normaliser's mean or std; None where the file has none, or several that differ."""
    values = {
        tuple(round(value, 6) for value in tensor.flatten().tolist())
        for name, tensor in state.items()
        if (hit := NORMALISER.fullmatch(name)) and hit[1] in names and tensor.numel() <= 4
    }
    return values.pop() if len(values) == 1 else None


def _check(kept: State, foreign: list[str], own: State, path: Path) -> None:
    wrong = [f"lacks {name}" for name in own if name not in kept] + [f"has {name} of no place" for name in foreign]
    reshaped = [name for name in own if name in kept and kept[name].shape != own[name].shape]
    wrong += [f"has {name} of shape {tuple(kept[name].shape)}, not {tuple(own[name].shape)}" for name in reshaped]
    wrong += [f"has {name} that is not finite" for name in kept if not torch.isfinite(kept[name]).all()]
    if not wrong:
        return
    more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    remedy = "give the factory and arguments that it was saved from"
    if len(wrong) == len(reshaped) <= 2 and all(kept[name].shape[1:] == own[name].shape[1:] for name in reshaped):
        name = reshaped[0]  # the last layer's weight and bias, by all that one can see
        remedy = (
            f"it tells {len(kept[name])} classes apart and the factory makes {len(own[name])}: change its arguments"
        )
    raise DataError(f"{path}: not of this network: it {', it '.join(wrong[:NAMED])}{more}; {remedy}")
