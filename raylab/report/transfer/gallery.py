"""All pictures of a matrix, drawn once for everything that shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raylab.report.picture import Picture
from raylab.report.transfer import figures
from raylab.report.transfer.matrix import Matrix
from raylab.report.transfer.panels import panel

PANEL_SOURCES = 2  # sources whose sets are shown: more would only make a page long


@dataclass(frozen=True)
class OfKind:
    """The pictures of one kind of set."""

    heat_map: Picture
    scatter: Picture
    controls: Picture | None  # where any control was run
    panels: tuple[Picture, ...]  # of the first seed


@dataclass(frozen=True)
class Gallery:
    matrix: Matrix
    transfer_map: Picture
    kinds: Mapping[str, OfKind]

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """In the order in which a page shows them."""
        views = self.kinds.values()
        drawn = [*(v.heat_map for v in views), self.transfer_map, *(v.scatter for v in views)]
        drawn += [v.controls for v in views if v.controls is not None]
        return (*drawn, *(picture for v in views for picture in v.panels))


def draw(matrix: Matrix) -> Gallery:
    return Gallery(matrix, figures.transfer_map(matrix), {kind: _of_kind(matrix, kind) for kind in matrix.config.kinds})


def _of_kind(matrix: Matrix, kind: str) -> OfKind:
    config = matrix.config
    panels = [panel(matrix, source, kind, config.seeds[0]) for source in config.sources[:PANEL_SOURCES]]
    return OfKind(
        figures.heat_map(matrix, kind),
        figures.scatter(matrix, kind),
        figures.controls(matrix, kind) if figures.has_controls(matrix, kind) else None,
        tuple(picture for picture in panels if picture is not None),
    )
