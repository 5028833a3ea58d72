"""What takes minutes and is a variant of a test that runs always: `make faults` does it too."""

from __future__ import annotations

import os

import pytest

WHOLE = os.environ.get("FAULTS") == "all"
whole = pytest.mark.skipif(not WHOLE, reason="of `make faults`")
