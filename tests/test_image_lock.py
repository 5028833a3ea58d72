"""The image's locked requirements against the versions that everything here is tested with."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
IMAGE = ROOT / "k8s" / "image"
ENTRY = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s\\]+)", re.MULTILINE)
BUILT_WITH = {"setuptools"}  # not of an environment's pins: pip freeze leaves it out


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(*names: str) -> dict[str, str]:
    text = "\n".join((IMAGE / name).read_text() for name in names)
    return {normal(name): version for name, version in ENTRY.findall(text)}


def pinned() -> dict[str, str]:
    return {normal(name): version for name, version in ENTRY.findall((ROOT / "constraints.txt").read_text())}


@pytest.mark.parametrize("variant", ["cpu", "cuda"])
def test_an_image_has_what_was_tested_and_all_that_raylab_asks_for(variant: str) -> None:
    lock, pins = locked("requirements.txt", f"requirements-{variant}.txt"), pinned()
    for name, version in lock.items():
        if name in pins:
            assert version.split("+")[0] == pins[name], name
    unknown = lock.keys() - pins.keys() - BUILT_WITH
    assert not {name for name in unknown if not name.startswith(("nvidia-", "cuda-", "triton"))}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["cluster"]]
    assert {normal(re.split(r"[\[<>=]", one)[0]) for one in asked} <= lock.keys()


def test_every_file_of_an_image_is_known_by_its_hash_and_comes_once() -> None:
    for path in IMAGE.glob("requirements*.txt"):
        entries = re.split(r"\n(?=[A-Za-z0-9])", path.read_text())
        named = [entry for entry in entries if ENTRY.match(entry)]
        assert named
        assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in named)
    assert not locked("requirements.txt").keys() & locked("requirements-cpu.txt", "requirements-cuda.txt").keys()
