"""Further test images for networks that know the classes of other data."""

from __future__ import annotations

from pydantic import Field

from raylab.config import Config
from raylab.engine.stage import Stage
from raylab.stages.data_config import DataConfig
from raylab.stages.dataset import Data, open_test


class FurtherTest(Config):
    """The test images of any data set with the same classes, or some of them; `train` need not be there."""

    data: DataConfig  # where they come from
    # Names of its classes to names of the data's, null: left out; a class that is not named here keeps its name.
    classes: dict[str, str | None] = Field(default={})

    def open(self, name: str, known: Data, seed: int) -> tuple[Stage, int]:
        """Their stage, and how many there are at most. Raises ValueError as `open_test`, naming the field."""
        try:
            return open_test(self.data, seed, self.classes, known)
        except ValueError as error:
            raise type(error)(f"evaluate_on.{name}: {error}") from error
