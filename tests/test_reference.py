"""docs/reference.md is what the source says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

import raylab

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference.md"


def test_the_reference_is_that_of_the_source() -> None:
    pytest.importorskip("griffe", reason="griffelib is not installed: pip install griffelib")
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert PAGE.read_text(encoding="utf-8") == made.reference(), "run `make docs`"


def test_the_reference_has_every_function_and_what_each_returns() -> None:
    headings = re.findall(r"^## (\w+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[: len(raylab.__all__)] == raylab.__all__
    assert {"Constructed", "Inverted", "RobustAccuracy", "FourierHeatMap", "ReadStore"} <= set(headings)
