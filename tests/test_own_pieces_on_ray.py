"""A separate package's pieces in a matrix on Ray: workers find them, and compute what is computed without Ray."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import toy
from own_pieces.data import bars
from own_pieces.networks import narrow

from raylab.cluster import preflight
from raylab.cluster.backend import RayBackend
from raylab.engine import runner
from raylab.engine.runner import InlineBackend
from raylab.engine.stage import Compute, Stage, closure
from raylab.engine.store import Store
from raylab.experiments.transfer import Controls, TransferCell, TransferMatrix, plan
from raylab.site import Actors, SiteFile, Trials
from raylab.stages.corruption import Corruptions, changed
from raylab.stages.images import ImageSpec
from raylab.stages.own_object import modules_of
from raylab.stages.recipe import Recipe

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_cluster")]
FACTORY = {"factory": "own_pieces.networks:narrow", "arguments": {"num_classes": 2}}
PIECES = ("balls", "constructions", "corruptions", "metrics", "networks")
MODULES = {"own_pieces", *(f"own_pieces.{name}" for name in PIECES)}


def matrix(weights: Path) -> TransferMatrix:
    torch.manual_seed(0)
    network = narrow(2)
    torch.save(network.state_dict(), weights)
    images, labels = bars("test", None)
    said = network((torch.from_numpy(images) - 0.5) / 0.25).argmax(1).numpy()
    own = {**FACTORY, "weights": str(weights), "mean": 0.5, "std": 0.25, "accuracy": float((said == labels).mean())}
    return TransferMatrix.model_validate(
        {
            "data": {"name": "own", "function": "own_pieces.data:bars"},
            "sources": (own,),
            "targets": (FACTORY,),
            "kinds": ("det",),
            "constructions": {"step_back": "own_pieces.constructions:step_back"},
            "seeds": (0,),
            "attack": {"steps": 2, "norm": "own_pieces.balls:UpperHalf"},
            "train": Recipe(epochs=1),
            "controls": Controls(unperturbed=False, random_labels=False, untrained=False, robust=None, leakage=None),
            "robustness": None,
            "metrics": {"gradient norm": "own_pieces.metrics:gradient_norm"},
            "neighbours": 0,
        }
    )


def corrupted(cells: dict[object, Stage]) -> Stage:
    """What a network of the matrix says of test images under the package's corruption."""
    standard = next(of for cell, of in cells.items() if isinstance(cell, TransferCell) and cell.role == "standard")
    data, images = standard.inputs["data"], ImageSpec((1, 8, 8), 2, (0.5,), (0.25,))
    changes, compute = Corruptions(names=("own_pieces.corruptions:dark_rows",)), Compute(batch_rows=30, shard_rows=60)
    return changed(changes, {"own": standard.inputs["model"]}, data, images, 0, compute, rows=60, name="changed")


def test_two_actors_give_the_bytes_that_one_process_gives(tmp_path: Path) -> None:
    cells: dict[object, Stage] = dict(plan(matrix(tmp_path / "weights.pt")))
    cells["changed"] = corrupted(cells)
    site = SiteFile(actors=Actors(max=2, gpus=0.0), trials=Trials(gpus=0.0), no_progress_seconds=60)
    inline = runner.build(cells, Store(str(tmp_path / "inline")), InlineBackend(), toy.Recorder())
    on_ray = runner.build(cells, Store(str(tmp_path / "ray")), RayBackend(site), toy.Recorder())
    assert {"metric", "set"} <= {cell.role for cell in cells if isinstance(cell, TransferCell)}
    assert {cell: one.digest for cell, one in on_ray.items()} == {cell: one.digest for cell, one in inline.items()}


def test_nodes_tell_before_anything_is_computed_of_modules_that_they_lack_or_have_otherwise(tmp_path: Path) -> None:
    cells: dict[object, Stage] = dict(plan(matrix(tmp_path / "weights.pt")))
    modules = modules_of(closure([*cells.values(), corrupted(cells)]))
    assert set(modules) == MODULES
    site = SiteFile(store=str(tmp_path), actors=Actors(gpus=0.0), trials=Trials(gpus=0.0), tracking="none")
    preflight.check_cluster(site, modules)
    with pytest.raises(preflight.SiteError) as refused:
        preflight.check_cluster(site, {**modules, "own_pieces.networks": "0" * 64, "nobodys_networks": "1" * 64})
    told = str(refused.value)
    assert "own_pieces.networks" in told
    assert "is another one here" in told
    assert "no module nobodys_networks" in told
