"""Raw data: readers of the field's data sets and of anybody's images, as arrays with ids."""

from raylab.data.reader import SPLITS, Cut, DataError, Description, Images
from raylab.data.sources import SOURCES, blocks, content, describe, read

__all__ = ["SOURCES", "SPLITS", "Cut", "DataError", "Description", "Images", "blocks", "content", "describe", "read"]
