"""Notebooks without Jupyter: their code cells in order, in one process."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def run(path: Path) -> None:
    """Raises what the first failing cell does, with its number and line."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    names: dict[str, object] = {"__name__": "__main__"}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec"), names)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
