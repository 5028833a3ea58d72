"""The page: whole, valid, readable without a network, and honest."""

from __future__ import annotations

import base64
import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
import rows
import runs
from accessibility import problems
from pages import Page

from raylab.report.estimates import spanned
from raylab.report.numbers import number, unbroken
from raylab.report.transfer import words
from raylab.report.transfer.gallery import draw
from raylab.report.transfer.matrix import Matrix
from raylab.report.transfer.page import page
from raylab.report.transfer.verdict import verdict
from raylab.stages.construction import Attack
from raylab.stages.dataset import SeeFarData
from raylab.store import Store


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


def test_the_page_passes_the_accessibility_check(html: str) -> None:
    assert problems(html) == []


def test_several_matrices_share_a_page_and_one_needs_no_overview(parsed: Page, digits: Matrix, seefar: Matrix) -> None:
    found = [text for level, text in parsed.headings if level == 2]
    assert found == ["Overview", words.heading(digits), words.heading(seefar)]
    assert "Overview" not in [text for _, text in Page(shown_page([seefar])).headings]


def test_every_row_has_its_verdict_in_words(parsed: Page, digits: Matrix, seefar: Matrix) -> None:
    for matrix in (digits, seefar):
        for row in matrix.rows:
            sentence = verdict(row, matrix.config.data, matrix.neighbours_clean).sentence
            assert unbroken(sentence) in parsed.text


def test_evidence_and_what_is_true_have_a_badge_each(digits: Matrix) -> None:
    config = digits.config.model_copy(update={"data": SeeFarData(name="seefar", toogit_reliability=0.1)})
    best = rows.strong()
    names = ("by_seed", "accuracy", "controls", "above", "above_p1", "success", "robust")
    strong = {name: getattr(best, name) for name in names}
    made = [
        replace(row, **strong, transfer={**row.transfer, **best.transfer}) if row.kind == "det" else row
        for row in digits.rows
    ]
    det = sum(row.kind == "det" for row in made)
    shown = Page(shown_page([replace(digits, config=config, rows=tuple(made))]))
    badges = [attributes["class"] for attributes in shown.every("span") if "badge" in attributes["class"]]
    assert badges.count("badge evidence") == 1 + det  # above the table, and in every row: the verdict did not look
    assert badges.count("badge no_features_exist") == len(made)
    assert "a world whose toogits say nothing" in shown.text


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


def test_a_control_that_did_not_run_is_said_to_be_missing(parsed: Page) -> None:
    assert "not run" in parsed.text
    assert "Robust source" in parsed.text  # its place is kept


def test_the_robust_source_says_whether_it_stands_and_what_its_set_teaches(digits: Matrix) -> None:
    def note(success: float, taught: float) -> str:
        robust = rows.robust(success=rows.estimate(success), p1=rows.estimate(0.65))
        row = rows.strong(robust=robust, controls={"robust": rows.estimate(taught)})
        return Page(shown_page([replace(digits, rows=(*digits.rows, row))])).text

    assert "the robust source mlp stands" in note(0.03, 0.08)
    assert "no more than chance" in note(0.03, 0.08)
    wrong = note(0.4, 0.31)
    assert "the robust source mlp does not stand" in wrong
    assert "its set still teaches 31.0\u00a0±\u00a01.0\u00a0%" in wrong


def test_warnings_of_the_robust_source_and_of_masked_gradients_are_on_the_page(digits: Matrix) -> None:
    first, *rest = digits.rows
    doubted = replace(first, robust=rows.robust(warnings=("seed 0: it collapsed",)), doubts=("seed 0: zero gradients",))
    shown = Page(shown_page([replace(digits, rows=(doubted, *rest))])).text
    assert "it collapsed" in shown
    assert "zero gradients" in shown


def test_robust_accuracy_and_leakage_stand_beside_their_sets(parsed: Page, digits: Matrix) -> None:
    (row,) = [row for row in digits.rows if row.robustness and (row.kind, row.target) == ("det", "mlp")]
    assert unbroken(number(row.robustness[0.5])) in parsed.text
    assert unbroken(number(digits.robustness["mlp"][0.5])) in parsed.text
    assert row.untouched is not None
    assert unbroken(number(row.untouched)) in parsed.text
    assert unbroken(spanned(row.above["leakage"])) in parsed.text


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
        title(keep="top"),
        title(keep="bottom"),
        title(data=SeeFarData(name="seefar", toogit_reliability=0.1)),
        title(data=SeeFarData(name="seefar", shape_reliability=0.1)),
    }
    assert len(different) == 8


def test_a_matrix_of_one_seed_without_controls_or_neighbours_has_a_page(report_store: Store) -> None:
    config = runs.DIGITS.model_copy(
        update={
            "seeds": (0,),
            "kinds": ("other",),
            "neighbours": 0,
            "sources": ("mlp",),
            "controls": runs.SEEFAR.controls.model_copy(update={"unperturbed": False, "robust": None, "leakage": None}),
        }
    )
    shown = Page(shown_page([runs.built(config, report_store)]))
    assert shown.open == []
    assert "No control was run" in shown.text
    assert "no row can be judged" in shown.text
    assert "1-nearest-neighbour" not in shown.text
