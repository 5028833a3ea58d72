"""matplotlib, scipy and jinja2, loaded when something is drawn, computed or written with them: plans do without.

A class is called as itself; `isinstance` is not for what comes from here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from raylab.core.later import Later

if TYPE_CHECKING:
    import jinja2
    import markupsafe
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D
    from matplotlib.patches import Ellipse, Patch, Rectangle
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
    from scipy import optimize, special, stats

__all__ = [
    "Axes", "AxesImage", "Ellipse", "Figure", "FuncFormatter", "Line2D", "ListedColormap", "LogLocator", "MaxNLocator",
    "NullLocator", "Patch", "Rectangle", "jinja2", "markupsafe", "mpl", "optimize", "special", "stats",
]  # fmt: skip


def _class(module: str, name: str) -> Callable[..., Any]:
    def made(*given: Any, **named: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*given, **named)

    return made


if not TYPE_CHECKING:
    mpl, optimize, special, stats = map(Later, ("matplotlib", "scipy.optimize", "scipy.special", "scipy.stats"))
    jinja2, markupsafe = map(Later, ("jinja2", "markupsafe"))
    Axes = AxesImage = Any  # for annotations alone
    Figure, ListedColormap, Line2D = (
        _class(f"matplotlib.{place}", name)
        for place, name in (("figure", "Figure"), ("colors", "ListedColormap"), ("lines", "Line2D"))
    )
    Ellipse, Patch, Rectangle = (_class("matplotlib.patches", name) for name in ("Ellipse", "Patch", "Rectangle"))
    FuncFormatter, LogLocator, MaxNLocator, NullLocator = (
        _class("matplotlib.ticker", name) for name in ("FuncFormatter", "LogLocator", "MaxNLocator", "NullLocator")
    )
