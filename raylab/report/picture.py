"""What a drawing is here: a matplotlib figure with its words, and bytes that are the same for the same numbers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from raylab.report.later import Figure, mpl

INK, SOFT, LINE = "#1b2733", "#5b6875", "#c9d1d9"  # text, lesser text, rules
# Okabe and Ito's colours without their yellow (too pale for a point on white), then three that keep apart from them.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#785ef0", "#8c6d31", "#882255", "#999999")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h", "<", "*")
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "raylab",  # ids that do not change from run to run
    "svg.fonttype": "none",  # text stays text
    "font.family": "DejaVu Sans",  # comes with matplotlib; wider than most, so the fonts of a browser fit
    "font.size": 9.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10.0,
    "axes.labelsize": 9.0,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "grid.color": "#e6eaee",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "image.composite_image": False,  # small images stay small: the viewer enlarges them
    "figure.autolayout": False,  # whatever a matplotlibrc says: figures are laid out when they are made, and once
    "figure.constrained_layout.use": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
# Inside the file, so that an image on a dark page turns with it; text on coloured cells is black or white, and stays.
_DARK = f"""<style>@media (prefers-color-scheme: dark) {{
text[style*="{INK}"] {{fill: #e6ebf0 !important}} text[style*="{SOFT}"] {{fill: #a9b4bf !important}}
[style*="stroke: {INK}"] {{stroke: #e6ebf0 !important}}
path[style*="stroke: {LINE}"], path[style*="stroke: #e6eaee"] {{stroke: #3a4550 !important}}
}}</style>"""


@dataclass(frozen=True)
class Picture:
    """A figure, a name for its file, and what it says to those who cannot see it or want to know more."""

    name: str
    figure: Figure
    alt: str  # the numbers themselves where they are few
    caption: str

    def __post_init__(self) -> None:
        """Lay out once: a second pass would move things by a hair, and with them every byte. Without an engine: for
        one that does nothing ("none") matplotlib draws twice, once to lay out.
        """
        with style():
            engine = self.figure.get_layout_engine()
            if engine is not None:
                engine.execute(self.figure)
                self.figure.set_layout_engine(None)

    @property
    def width(self) -> int:
        """Natural width, in CSS pixels."""
        return round(96 * float(self.figure.get_size_inches()[0]))

    @cached_property
    def svg(self) -> bytes:
        """Equal figures give equal bytes: no date, no random ids."""
        text = self._save("svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}).decode()
        text = text.replace("'DejaVu Sans'", _FONTS, -1)
        head, rest = text.split("<defs>", 1)
        return f"{head}{_DARK}<defs>{rest}".encode()

    def _save(self, kind: str, **options: Any) -> bytes:
        buffer = io.BytesIO()
        with style():
            self.figure.savefig(buffer, format=kind, **options)
        return buffer.getvalue()


@contextmanager
def style() -> Iterator[None]:
    """Drawing settings of this project, for the time of one figure; nobody else's are changed."""
    with mpl.rc_context(_STYLE):
        yield


def contrast_ink(colour: tuple[float, float, float]) -> str:
    """Black or white, whichever can be read on an sRGB colour: at least 4.5 to 1 (WCAG 2.2, 1.4.3)."""
    return "#000000" if contrast(colour, (0.0, 0.0, 0.0)) >= contrast(colour, (1.0, 1.0, 1.0)) else "#ffffff"


def contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """The contrast ratio of two sRGB colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: tuple[float, float, float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
