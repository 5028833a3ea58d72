"""Raw data: readers of the field's data sets and of anybody's images, as arrays with ids."""

from raylab.data.reader import SPLITS, Cut, DataError, Description, Images, listed
from raylab.data.sources import SOURCES, TEST_ONLY, blocks, content, describe, read

__all__ = [
    "SOURCES", "SPLITS", "TEST_ONLY", "Cut", "DataError", "Description", "Images", "blocks", "content", "describe",
    "listed", "read",
]  # fmt: skip
