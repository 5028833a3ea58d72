"""Weights in the layouts in which people keep them, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from raylab.data import DataError, checkpoints

State = dict[str, Tensor]


def network(classes: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, classes))


def under(prefix: str, state: Mapping[str, Tensor]) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def with_normaliser(state: Mapping[str, Tensor], mean: str, std: str) -> State:
    shape = (1, 3, 1, 1)
    return {**state, mean: torch.tensor([0.1, 0.2, 0.3]).view(shape), std: torch.tensor([0.4, 0.5, 0.6]).view(shape)}


def robustness(state: State) -> dict[str, Any]:
    """As MadryLab/robustness saves its AttackerModel, behind DataParallel."""
    inner = under("model.", state) | under("attacker.model.", state)
    for name in ("normalizer", "attacker.normalize"):
        inner = with_normaliser(inner, f"{name}.new_mean", f"{name}.new_std")
    return {"model": under("module.", inner), "epoch": 150, "optimizer": {"state": {0: {"step": 1}}}}


def robustbench(state: State) -> dict[str, Any]:
    return {"state_dict": under("module.", with_normaliser(state, "mu", "sigma")), "best_acc": 0.9}


LAYOUTS: dict[str, Callable[[State], Any]] = {
    "plain": dict,
    "DataParallel": lambda state: under("module.", state),
    "torch.compile": lambda state: under("_orig_mod.", state),
    "torch.compile of DataParallel": lambda state: under("_orig_mod.module.", state),
    "an entry state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "an entry of any name": lambda state: {"ema": under("module.", state), "lr": 0.1},
    "Lightning": lambda state: {"state_dict": under("model.", state), "pytorch-lightning_version": "2.5"},
    "robustness": robustness,
    "RobustBench": robustbench,
    "a sequence after a normalisation": lambda state: with_normaliser(under("1.", state), "0.mean", "0.std"),
    "half precision": lambda state: {n: t.half() if t.is_floating_point() else t for n, t in state.items()},
    "before counts of batches": lambda state: {n: t for n, t in state.items() if "num_batches" not in n},
}
NORMALISED = ("robustness", "RobustBench", "a sequence after a normalisation")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_weights_are_found_in_every_layout_with_the_normalisation_beside_them(layout: str, tmp_path: Path) -> None:
    own = network().state_dict()
    torch.save(LAYOUTS[layout](own), tmp_path / "x.pt")
    found = checkpoints.read(tmp_path / "x.pt", network().state_dict())
    assert found.state.keys() == own.keys()
    for name, tensor in found.state.items():
        expected = own[name].half() if layout == "half precision" and own[name].is_floating_point() else own[name]
        assert torch.equal(tensor, expected)
    if layout in NORMALISED:
        assert found.mean == pytest.approx((0.1, 0.2, 0.3))
        assert found.std == pytest.approx((0.4, 0.5, 0.6))
    else:
        assert (found.mean, found.std) == (None, None)


def test_a_network_that_normalises_by_itself_keeps_its_buffers(tmp_path: Path) -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.full((3,), 0.7))
            self.model = network()

    torch.save(under("module.", Own().state_dict()), tmp_path / "x.pt")
    found = checkpoints.read(tmp_path / "x.pt", Own().state_dict())
    assert torch.equal(found.state["mean"], torch.full((3,), 0.7))
    assert found.mean is None


def broken(change: Callable[[State], Any]) -> Any:
    return change(dict(network().state_dict()))


WRONG: dict[str, tuple[Any, str]] = {
    "lacks": (lambda: broken(lambda s: {n: t for n, t in s.items() if n != "0.bias"}), "it lacks 0.bias"),
    "has": (lambda: broken(lambda s: {**s, "9.weight": torch.zeros(1)}), "it has 9.weight of no place"),
    "classes": (lambda: dict(network(5).state_dict()), "it tells 5 classes apart and the factory makes 3"),
    "shape": (lambda: broken(lambda s: {**s, "0.weight": torch.zeros(4, 1, 3, 3)}), r"of shape \(4, 1, 3, 3\)"),
    "finite": (lambda: broken(lambda s: {**s, "0.bias": torch.full((4,), torch.nan)}), "0.bias that is not finite"),
    "other": (lambda: {"epoch": 3, "a": {"x": 1}}, "no state dict"),
    "a list": (lambda: [torch.zeros(1)], "a state dict is needed, got list"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_weights_of_another_network_are_refused_and_the_message_says_how_they_differ(
    wrong: str, tmp_path: Path
) -> None:
    make, said = WRONG[wrong]
    torch.save(make(), tmp_path / "x.pt")
    with pytest.raises(DataError, match=said):
        checkpoints.read(tmp_path / "x.pt", network().state_dict())


def test_a_pickled_network_is_refused_unread(tmp_path: Path) -> None:
    torch.save(network(), tmp_path / "x.pt")
    with pytest.raises(DataError, match="refused as a file of tensors"):
        checkpoints.read(tmp_path / "x.pt", network().state_dict())


def test_safetensors_are_read_where_their_package_is_installed(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch", reason="reads .safetensors; an optional package")
    own = {name: tensor.contiguous() for name, tensor in network().state_dict().items()}
    safetensors.save_file(own, tmp_path / "x.safetensors")
    found = checkpoints.read(tmp_path / "x.safetensors", own)
    assert all(torch.equal(found.state[name], tensor) for name, tensor in own.items())
    (tmp_path / "y.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match="no readable safetensors file"):
        checkpoints.read(tmp_path / "y.safetensors", own)


def test_safetensors_without_their_package_name_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "safetensors.torch", None)
    (tmp_path / "x.safetensors").write_bytes(b"")
    with pytest.raises(DataError, match="pip install safetensors"):
        checkpoints.read(tmp_path / "x.safetensors", network().state_dict())
