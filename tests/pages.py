"""A page as its tests see it: tags, texts, links."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from accessibility import problems

from raylab.report.experiment import Results
from raylab.report.terminal import WIDTH

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """What a browser would have to deal with."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes something else at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)
        if self.open and re.fullmatch(r"h[1-6]", self.open[-1]):
            level, text = self.headings[-1]
            self.headings[-1] = (level, text + data)

    @property
    def text(self) -> str:
        return re.sub(r"[ \n]+", " ", " ".join(self.words))

    def every(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def seen(results: Results, pictures: int) -> tuple[Page, str, str]:
    """Page, short and full text of one study, which are as those of every experiment have to be."""
    page, (text,), (full,) = Page(results.page), results.texts, results.full_texts
    assert problems(results.page) == page.open == []
    assert not {name for name, _ in page.tags} & {"script", "link", "iframe", "object"}
    assert len(page.every("img")) == pictures
    assert all(len(image["alt"]) > 40 for image in page.every("img"))
    assert max(map(len, (text + full).splitlines())) <= WIDTH
    assert len(text.splitlines()) <= 40
    return page, text, full
