"""Batches as tables, and back."""

from __future__ import annotations

import numpy as np
import pytest

from raylab.engine import columns

PIXELS = np.arange(5 * 4 * 4, dtype=np.float32).reshape(5, 4, 4)


@pytest.mark.parametrize(
    "images",
    [PIXELS[:, None], PIXELS[:1, None], PIXELS[None], PIXELS[:, None].transpose(0, 1, 3, 2), PIXELS[:, :, 1:2, None]],
    ids=["new axis", "one image", "first axis", "transposed", "slice"],
)
def test_an_array_comes_back_as_it_was_whatever_its_strides(images: np.ndarray) -> None:  # type: ignore[type-arg]
    """An axis of length 1 may have any stride: Arrow took that of a new axis for the smallest, and wrote no image that
    could be read."""
    table = columns.to_table({"id": np.arange(len(images)), "image": images})
    back = columns.to_batch(columns.from_parquet(columns.to_parquet(table)))
    np.testing.assert_array_equal(back["image"], images)
    assert table.schema.field("image").type.shape == list(images.shape[1:])


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="the same number of rows, got"):
        columns.to_table({"id": np.arange(3), "image": PIXELS})
