"""Files of torch.save: of today, of 2019, and such as want something else."""

from __future__ import annotations

import os
import pickle
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from raylab import data
from raylab.data import tensors

X = torch.arange(6, dtype=torch.float32).reshape(2, 3)
FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["today", "2019"])


def save(value: Any, path: Path, zipped: bool) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    return path


class Command:
    """Runs when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.makedirs, (str(self.trace), 0o777, True)


class Made:
    """What dill writes of a class: a call that makes it, an instance of it, and a state, items and entries of that."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type, ("Parameters", (dict,), {}), {"lr": 0.1}, iter([1, 2]), iter([("a", 1)])


class Plain:
    """Pickled by its name."""


@FORMATS
def test_tensors_in_plain_containers_come_back(tmp_path: Path, zipped: bool) -> None:
    state = OrderedDict(w=X, b=torch.nn.Parameter(X + 1))
    state._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]  # as state_dict() has it
    found = tensors.load(save({"model": state, "epoch": 3, "rows": [X]}, tmp_path / "file", zipped))
    assert torch.equal(found["model"]["w"], X)
    assert torch.equal(found["model"]["b"].detach(), X + 1)
    assert (found["epoch"], len(found["rows"])) == (3, 1)


def test_tensors_of_a_gpu_come_to_the_cpu(tmp_path: Path) -> None:
    path = save([X], tmp_path / "file", zipped=False)
    here, there = b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"
    assert here in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(here, there))
    assert torch.equal(tensors.load(path)[0], X)


@FORMATS
@pytest.mark.parametrize("foreign", [Plain(), Made()])
def test_other_objects_are_refused_with_a_remedy_that_works(tmp_path: Path, zipped: bool, foreign: object) -> None:
    path = save({"model": {"w": X}, "args": foreign, "epoch": 3}, tmp_path / "checkpoint.pt", zipped)
    with pytest.raises(
        data.DataError, match=r"checkpoint\.pt: refused as a file of tensors: .*tensors\.keep"
    ) as refused:
        tensors.load(path)
    assert "weights_only" not in str(refused.value)  # no advice to trust the file
    tensors.keep(path, tmp_path / "copy.pt")
    found = tensors.load(tmp_path / "copy.pt")
    assert torch.equal(found["model"]["w"], X)
    assert (found["epoch"], found["args"]) == (3, None)


@FORMATS
def test_what_a_file_wants_to_run_is_never_run(tmp_path: Path, zipped: bool) -> None:
    trace = tmp_path / "trace"
    path = save({"w": X, "hook": Command(trace), "more": [Command(trace)]}, tmp_path / "file", zipped)
    with pytest.raises(data.DataError, match=r"refused as a file of tensors: .*makedirs"):
        tensors.load(path)
    tensors.keep(path, tmp_path / "copy")
    assert not trace.exists()
    assert tensors.load(tmp_path / "copy")["more"] == [None]
    torch.load(path, weights_only=False)
    assert trace.exists()  # the bait does bite


@pytest.mark.parametrize(
    "content", [b"", b"<html>verify your download</html>", pickle.dumps([1], protocol=2), b"PK\x03\x04 cut"]
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(data.DataError, match=r"file: refused as a file of tensors: .+ copy the original file again"):
        tensors.load(tmp_path / "file")
    with pytest.raises(data.DataError, match=r"file: no readable file of tensors"):
        tensors.keep(tmp_path / "file", tmp_path / "copy")


def test_a_whole_network_is_no_file_of_tensors_and_half_a_file_needs_no_other_remedy(tmp_path: Path) -> None:
    with pytest.raises(data.DataError, match=r"as of a whole network; save network\.state_dict\(\)"):
        tensors.keep(save(torch.nn.Linear(2, 2), tmp_path / "network.pt", zipped=True), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    half = tmp_path / "half.pt"
    half.write_bytes((tmp_path / "network.pt").read_bytes()[:900])
    with pytest.raises(data.DataError, match="reading zip archive: failed finding central directory; copy the orig"):
        tensors.load(half)


def test_formats_that_pytorch_would_run_are_not_opened(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("script/constants.pkl", b"")
    with tarfile.open(tmp_path / "old.tar", "w") as old:
        old.add(tmp_path / "script.pt", "pickle")
    for name, kind in (("script.pt", "TorchScript"), ("old.tar", "2017")):
        with pytest.raises(data.DataError, match=kind):
            tensors.keep(tmp_path / name, tmp_path / "copy")
    with pytest.raises(data.DataError, match="no such file"):
        tensors.keep(tmp_path / "absent", tmp_path / "copy")
