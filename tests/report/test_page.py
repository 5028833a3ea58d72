"""The page: whole, valid, readable without a network, and honest."""

from __future__ import annotations

import base64
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
import rows
import runs

from raylab.report import words
from raylab.report.gallery import draw
from raylab.report.matrix import Matrix
from raylab.report.numbers import unbroken
from raylab.report.page import page
from raylab.report.verdict import verdict
from raylab.stages.construction import Attack
from raylab.stages.dataset import SeeFarData
from raylab.store import Store

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


def shown_page(matrices: list[Matrix]) -> str:
    return page([draw(matrix) for matrix in matrices])


@pytest.fixture(scope="module")
def html(digits: Matrix, seefar: Matrix) -> str:
    return shown_page([digits, seefar])


@pytest.fixture(scope="module")
def parsed(html: str) -> Page:
    return Page(html)


def test_tags_are_balanced_and_headings_skip_no_level(parsed: Page) -> None:
    assert parsed.open == []
    levels = [level for level, _ in parsed.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(text.strip() for _, text in parsed.headings)


def test_nothing_is_loaded_from_anywhere(html: str, parsed: Page) -> None:
    names = {name for name, _ in parsed.tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "base"}
    for tag, attributes in parsed.tags:
        for name in ("src", "srcset", "href", "data", "poster", "action"):
            if name in attributes:
                allowed = "#" if tag == "a" else "data:image/svg+xml;base64,"
                assert attributes[name].startswith(allowed), (tag, attributes[name][:60])
        assert not any(name.startswith("on") for name in attributes)
    assert "url(" not in html
    assert "@import" not in html
    for image in parsed.every("img"):
        svg = base64.b64decode(image["src"].split(",", 1)[1]).decode()
        links = re.findall(r'(?:href|src)\s*=\s*"([^"]*)"', svg)
        assert all(link.startswith(("#", "data:image/png")) for link in links)
        assert "<script" not in svg


def test_images_have_words_tables_have_scopes_and_links_have_ends(parsed: Page) -> None:
    images = parsed.every("img")
    assert len(images) > 10
    assert all(len(image["alt"]) > 40 for image in images)
    assert all(cell["scope"] in {"col", "row", "rowgroup"} for cell in parsed.every("th"))
    ids = Counter(attributes["id"] for _, attributes in parsed.tags if "id" in attributes)
    assert set(ids.values()) == {1}
    links = {link["href"].removeprefix("#") for link in parsed.every("a")}
    labels = {section["aria-labelledby"] for section in parsed.every("section")}
    assert links | labels <= set(ids)
    assert parsed.every("html")[0]["lang"] == "en"


def test_several_matrices_share_a_page_and_one_needs_no_overview(parsed: Page, digits: Matrix, seefar: Matrix) -> None:
    found = [text for level, text in parsed.headings if level == 2]
    assert found == ["Overview", words.heading(digits), words.heading(seefar)]
    assert "Overview" not in [text for _, text in Page(shown_page([seefar])).headings]


def test_every_row_has_its_verdict_in_words(parsed: Page, digits: Matrix, seefar: Matrix) -> None:
    for matrix in (digits, seefar):
        for row in matrix.rows:
            sentence = verdict(row, matrix.config.data, matrix.neighbours_clean).sentence
            assert unbroken(sentence) in parsed.text


def test_the_page_never_claims_evidence_for_features(digits: Matrix, seefar: Matrix) -> None:
    strong = {"accuracy": rows.estimate(0.99), "p1": rows.estimate(0.0), "success": rows.estimate(1.0)}
    config = seefar.config.model_copy(update={"data": SeeFarData(name="seefar", toogit_reliability=0.1)})
    mute = replace(seefar, config=config, rows=tuple(replace(row, **strong) for row in seefar.rows))
    best = replace(digits, rows=tuple(replace(row, **strong) for row in digits.rows))
    shown = Page(shown_page([best, mute]))
    assert "evidence" not in shown.text.lower()
    assert "no claim is made" in shown.text
    assert "a world whose toogits say nothing" in shown.text
    # Badges of verdicts on this world, once in the overview, once above the table, once in its row.
    badges = [attributes["class"] for attributes in shown.every("span") if "badge" in attributes["class"]]
    assert badges.count("badge no_features_exist") == 3
    assert "badge true_features" not in badges


def test_how_it_was_made_is_told(parsed: Page, digits: Matrix) -> None:
    assert digits.key in parsed.text
    assert "per_class: 12" in parsed.text
    for cell, artifact in digits.artifacts.items():
        if cell.role in ("data", "set"):
            assert artifact.digest in parsed.text
    provenance = digits.provenance
    assert str(provenance["commit"])[:12] in parsed.text
    assert str(provenance["packages"]["torch"]) in parsed.text
    assert str(provenance["machine"]) in parsed.text


def test_changed_code_and_mixed_commits_are_told(seefar: Matrix) -> None:
    cells = list(seefar.artifacts)
    changed = {}
    for place, cell in enumerate(cells):
        artifact = seefar.artifacts[cell]
        origin = {**artifact.manifest["provenance"], "commit": "a" * 40 if place else "b" * 40, "dirty": not place}
        changed[cell] = replace(artifact, manifest={**artifact.manifest, "provenance": origin})
    shown = Page(shown_page([replace(seefar, artifacts=changed)])).text
    assert re.search(rf"{'a' * 12} \(\d+ artifacts\)", shown)
    assert f"{'b' * 12} with uncommitted changes (1 artifacts)" in shown


def test_the_note_of_the_data_stands_beside_the_numbers_and_is_no_markup(seefar: Matrix) -> None:
    shown = Page(shown_page([replace(seefar, note="JPEG <b>only</b> & so on")]))
    assert "About the data. JPEG <b>only</b> & so on" in shown.text
    assert shown.text.count("JPEG <b>only</b>") == 3  # and below both heat maps
    assert not shown.every("b")


def test_what_is_known_of_see_far_is_shown_only_there(parsed: Page, digits: Matrix) -> None:
    assert parsed.text.count("What is true here") == 1
    assert "What is true here" not in Page(shown_page([digits])).text


def test_a_changed_number_changes_the_page(seefar: Matrix) -> None:
    first, *rest = seefar.rows
    changed = replace(seefar, rows=(replace(first, accuracy=rows.estimate(0.123)), *rest))
    assert "12.3\u00a0±\u00a01.0" in Page(shown_page([changed])).text
    assert shown_page([seefar]) == shown_page([seefar])


def test_an_unwritten_control_is_said_to_be_missing(parsed: Page) -> None:
    assert "not run" in parsed.text
    assert "Robust source" in parsed.text  # its place is kept


def test_titles_tell_the_matrices_of_a_run_apart(seefar: Matrix) -> None:
    def title(**changed: object) -> str:
        return words.heading(replace(seefar, config=seefar.config.model_copy(update=changed)))

    plain = title()
    assert plain == "See-Far: L2 radius 1"
    different = {
        plain,
        title(attack=Attack(eps=0.8)),
        title(attack=Attack(norm="linf", eps=0.25)),
        title(keep="success"),
        title(data=SeeFarData(name="seefar", toogit_reliability=0.1)),
        title(data=SeeFarData(name="seefar", shape_reliability=0.1)),
    }
    assert len(different) == 6


def test_a_matrix_of_one_seed_without_controls_or_neighbours_has_a_page(report_store: Store) -> None:
    config = runs.DIGITS.model_copy(
        update={
            "seeds": (0,),
            "kinds": ("other",),
            "neighbours": 0,
            "sources": ("mlp",),
            "controls": runs.SEEFAR.controls.model_copy(update={"unperturbed": False}),
        }
    )
    shown = Page(shown_page([runs.built(config, report_store)]))
    assert shown.open == []
    assert "No control was run" in shown.text
    assert "no row can be judged" in shown.text
    assert "1-nearest-neighbour" not in shown.text
