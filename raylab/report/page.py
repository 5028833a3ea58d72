"""One self-contained HTML page for the matrices of a run: nothing is loaded from anywhere, so it opens on a plane."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from raylab.identity import short
from raylab.report import figures, numbers, panels
from raylab.report.figures import TRANSFER
from raylab.report.made import Made, made
from raylab.report.matrix import CONTROLS, Matrix, Row
from raylab.report.picture import Picture
from raylab.report.size import size_notes, size_of
from raylab.report.verdict import BADGES, Code, verdict
from raylab.stages.dataset import SeeFarData

HERE = Path(__file__).parent
CHANCE = 0.1  # of See-Far's ten classes
PANEL_SOURCES = 2  # sources whose sets are shown: more would only make the page long
VIEWS = {
    "pooled": "all pairs",
    "off_diagonal": "source and student of different architecture",
    "within_source": "within each source network",
    "within_source_off_diagonal": "within each source network, different architecture",
}
NAMES = {"digits": "Digits", "seefar": "See-Far", "mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}
KINDS = {
    "rand": "the new label is drawn from all classes",
    "other": "the new label is drawn from the other classes",
    "det": "the new label is the next class",
}


@dataclass(frozen=True)
class Judged:
    """A row with its verdict."""

    row: Row
    code: Code
    sentence: str


@dataclass(frozen=True)
class KindView:
    """What the page shows of one kind of set."""

    kind: str
    meaning: str
    judged: tuple[Judged, ...]
    counts: tuple[tuple[Code, int], ...]
    heat_map: Picture
    scatter: Picture
    controls: Picture | None
    panels: tuple[Picture, ...]
    correlated: bool


@dataclass(frozen=True)
class Section:
    """What the page shows of one matrix."""

    anchor: str
    title: str
    matrix: Matrix
    size: tuple[str, ...]
    kinds: tuple[KindView, ...]
    transfer_map: Picture
    made: Made
    truth: bool

    @property
    def counts(self) -> tuple[tuple[Code, int], ...]:
        return _counts([judged for view in self.kinds for judged in view.judged])

    def rows(self, kind: str) -> list[Row]:
        return [row for row in self.matrix.rows if row.kind == kind]


def page(matrices: Sequence[Matrix], title: str = "Transfer of learned perturbations") -> str:
    """The HTML of one or several matrices, with everything inlined."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_unbroken,
    )
    environment.filters |= {
        "percent": numbers.percent,
        "number": numbers.number,
        "share": numbers.share,
        "span": numbers.span,
        "coefficient": numbers.coefficient,
        "data_uri": _data_uri,
    }
    return environment.get_template("page.html").render(
        title=title,
        css=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        sections=[_section(matrix) for matrix in matrices],
        badges=BADGES,
        controls=CONTROLS,
        spoken=figures.SPOKEN,
        views=VIEWS,
        transfer=TRANSFER,
    )


def heading(matrix: Matrix) -> str:
    """What tells this matrix from the others of a run: data, world, attack."""
    config = matrix.config
    attack = config.attack
    words = [NAMES.get(config.data.name, config.data.name)]
    if isinstance(config.data, SeeFarData):
        mute = {"toogits": config.data.toogit_reliability, "shapes": config.data.shape_reliability}
        words += [f"a world whose {name} say nothing" for name, told in mute.items() if told <= CHANCE]
    norm = {"l2": "L2", "linf": "Linf"}[attack.norm]
    return f"{', '.join(words)}: {norm} radius {attack.eps:g}{'' if config.keep == 'all' else f', {config.keep} kept'}"


def _section(matrix: Matrix) -> Section:
    return Section(
        anchor=f"matrix-{short(matrix.key)}",
        title=heading(matrix),
        matrix=matrix,
        size=size_notes(size_of(matrix)),
        kinds=tuple(_kind(matrix, kind) for kind in matrix.config.kinds),
        transfer_map=figures.transfer_map(matrix),
        made=made(matrix),
        truth=any(row.usage for row in matrix.rows),
    )


def _kind(matrix: Matrix, kind: str) -> KindView:
    config = matrix.config
    judged = []
    for row in matrix.rows:
        if row.kind == kind:
            found = verdict(row, config.data, matrix.neighbours_clean)
            judged.append(Judged(row, found.code, found.sentence))
    drawn = [panels.panel(matrix, source, kind, config.seeds[0]) for source in config.sources[:PANEL_SOURCES]]
    return KindView(
        kind,
        KINDS[kind],
        tuple(judged),
        _counts(judged),
        figures.heat_map(matrix, kind),
        figures.scatter(matrix, kind),
        figures.controls(matrix, kind) if figures.has_controls(matrix, kind) else None,
        tuple(picture for picture in drawn if picture is not None),
        figures.can_correlate(matrix, kind),
    )


def _counts(judged: Sequence[Judged]) -> tuple[tuple[Code, int], ...]:
    return tuple(Counter(one.code for one in judged).most_common())


def _unbroken(value: object) -> object:
    """No line ends between a number and its sign."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return value.replace(" %", "\u00a0%").replace("± ", "±\u00a0").replace(" ±", "\u00a0±")
    return value


def _data_uri(picture: Picture) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.svg()).decode()}"


def pictures(matrix: Matrix) -> Mapping[str, bytes]:
    """Every figure of a matrix as SVG and PNG by file name: for a tracker or a talk."""
    config = matrix.config
    drawn = [*figures.pictures(matrix)]
    drawn += [
        picture
        for kind in config.kinds
        if (picture := panels.panel(matrix, config.sources[0], kind, config.seeds[0])) is not None
    ]
    return {f"{p.name}.{kind}": data for p in drawn for kind, data in (("svg", p.svg()), ("png", p.png()))}
