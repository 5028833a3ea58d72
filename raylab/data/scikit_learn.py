"""Files that come with scikit-learn, found without importing it: a second for which every plan would wait."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from raylab.data.reader import DataError


def bundled(folder: str, names: tuple[str, ...]) -> list[Path]:
    """The files of these names in a folder of `sklearn/datasets`. Raises DataError where any is not there."""
    package = find_spec("sklearn")
    place = Path((package and package.origin) or "scikit-learn").parent / "datasets" / folder
    paths = [place / name for name in names]
    if lacking := [str(path) for path in paths if not path.is_file()]:
        raise DataError(f"scikit-learn's files: {', '.join(lacking)} not found; install scikit-learn again")
    return paths
