"""What can be told of a page's accessibility from its source: rules after WCAG 2.2 that need no judgement."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise

VOID = {"meta", "img", "br", "link", "input", "hr"}
NAMED = {"a", "summary", "caption", "th", "title", "h1", "h2", "h3", "h4", "h5", "h6", "figcaption"}  # must have text


def problems(html: str) -> list[str]:
    """Nothing where all is well."""
    return list(_Page(html).problems())


class _Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[tuple[str, dict[str, str], list[str]]] = []  # tag, attributes, text so far
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.headings: list[int] = []
        self.headed: list[bool] = []  # of the tables that are open: whether a header was seen
        self.html = html
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append((tag, attributes))
        for _, _, text in self.open:
            text.append(attributes.get("alt", ""))
        if tag not in VOID:
            self.open.append((tag, attributes, []))
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "table":
            self.headed.append(False)
        if tag == "th" and self.headed:
            self.headed[-1] = True
        parent = self.open[-2][0] if len(self.open) > 1 else ""
        if tag == "li" and parent not in ("ul", "ol"):
            self.found.append(f"<li> in <{parent}>")
        if tag == "caption" and parent != "table":
            self.found.append(f"<caption> in <{parent}>")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1][0] != tag:
            self.found.append(f"</{tag}> closes {self.open[-1][0] if self.open else 'nothing'} at {self.getpos()}")
            return
        _, attributes, text = self.open.pop()
        if tag == "table" and not self.headed.pop():
            self.found.append(f"a table without headers at {self.getpos()}")
        empty = not "".join(text).strip() and not attributes.get("aria-label", "").strip()
        if tag in NAMED and empty:
            self.found.append(f"<{tag}> without text at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        for _, _, text in self.open:
            text.append(data)

    def every(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def problems(self) -> Iterator[str]:
        yield from self.found
        yield from (f"<{tag}> is not closed" for tag, _, _ in self.open)
        yield from self._whole()
        yield from self._headings()
        yield from self._names()

    def _whole(self) -> Iterator[str]:
        if not self.html.lower().startswith("<!doctype html>"):
            yield "no doctype"
        if [one.get("lang", "") for one in self.every("html")] != ["en"]:
            yield "the language of the page is not said"
        if len(self.every("title")) != 1:
            yield "one <title>"
        if len(self.every("main")) != 1:
            yield "one <main>"
        viewports = [one.get("content", "") for one in self.every("meta") if one.get("name") == "viewport"]
        if len(viewports) != 1 or "width=device-width" not in viewports[0]:
            yield "no viewport for phones"
        elif re.search(r"user-scalable=(no|0)|maximum-scale", viewports[0]):
            yield "the viewport forbids zooming"

    def _headings(self) -> Iterator[str]:
        if self.headings.count(1) != 1:
            yield f"one <h1>, got {self.headings.count(1)}"
        if self.headings[:1] != [1]:
            yield "the first heading is no <h1>"
        for before, after in pairwise(self.headings):
            if after > before + 1:
                yield f"<h{after}> follows <h{before}>"

    def _names(self) -> Iterator[str]:
        yield from ("an image without alt" for image in self.every("img") if not image.get("alt", "").strip())
        scopes = {"col", "row", "rowgroup", "colgroup"}
        yield from ("a <th> without scope" for cell in self.every("th") if cell.get("scope") not in scopes)
        ids = Counter(attributes["id"] for _, attributes in self.tags if "id" in attributes)
        yield from (f"id {name} is there {count} times" for name, count in ids.items() if count > 1)
        for tag, attributes in self.tags:
            for name in ("aria-labelledby", "aria-describedby", "headers", "for"):
                yield from (
                    f"{name} {one} of <{tag}> is not there"
                    for one in attributes.get(name, "").split()
                    if one not in ids
                )
            if tag == "a" and attributes.get("href", "") in ("", "#"):
                yield "a link to nowhere"
            if tag == "a" and attributes.get("href", "#")[0] == "#" and attributes["href"][1:] not in ids:
                yield f"a link to {attributes['href']}, which is not there"
            if int(attributes.get("tabindex", "0")) > 0:
                yield "a tabindex that changes the order"
        yield from (
            f"<nav> {place} without a name" for place, one in enumerate(self.every("nav")) if not one.get("aria-label")
        )
