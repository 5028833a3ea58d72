"""The frame of every page: nothing is loaded from anywhere, so it opens on a plane."""

from __future__ import annotations

import base64
from pathlib import Path

from raylab.report import numbers
from raylab.report.later import jinja2, markupsafe
from raylab.report.picture import Picture

HERE = Path(__file__).parent


def render(template: str, **context: object) -> str:
    """The HTML of a template of this folder or `scoreboard/`, styles and pictures inlined. Most extend `frame.html`.

    `parts.html` has the macros that pages share: badge, figure, how it was made.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([HERE, HERE.parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {
        "percent": numbers.percent,
        "number": numbers.number,
        "share": numbers.share,
        "span": numbers.span,
        "coefficient": numbers.coefficient,
        "data_uri": _data_uri,
    }
    css = markupsafe.Markup((HERE / "page.css").read_text(encoding="utf-8"))
    return environment.get_template(template).render(css=css, **context)


def fill(page: str, place: str, html: str) -> str:
    """A rendered page with something put at a place that `frame.html` has marked: "navigation" or "files".

    A page is rendered, and kept alone, before anyone knows beside which others it will lie; so what belongs to a folder
    of pages comes later, and where it does not come the mark is a comment. Text on a page cannot be taken for a mark,
    for it is escaped. Raises ValueError where the mark is not there, or twice.
    """
    mark = f"<!-- {place} -->"
    if page.count(mark) != 1:
        raise ValueError(f"{place}: a page by `render` has {mark} once, this one {page.count(mark)} times")
    return page.replace(mark, html.strip())


def _finalize(value: object) -> object:
    return numbers.unbroken(value) if isinstance(value, str) and not isinstance(value, markupsafe.Markup) else value


def _data_uri(picture: Picture) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.svg).decode()}"
