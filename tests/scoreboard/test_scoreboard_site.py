"""The folder of results: whole, linked within itself, and honest about every row."""

from __future__ import annotations

import re
from html import unescape
from pathlib import PurePosixPath

import pytest
import scoreboard_lines
from accessibility import problems
from pages import Page
from scoreboard_lines import ABOUT, evidence, lines

from raylab.report.frame import fill, render
from raylab.report.numbers import unbroken
from raylab.scoreboard.page import Link, index, job_of
from raylab.scoreboard.rows import all_rows
from raylab.scoreboard.site import INDEX, Shown, ShownStudy, site
from raylab.scoreboard.table import as_csv, is_target
from raylab.scoreboard.text import as_text
from raylab.scoreboard.verdict import MEANINGS, WORDS

KEY = "0123456789abcdef" * 4


def study(name: str, key: str = KEY, tracker: str = "theory/digits") -> ShownStudy:
    return ShownStudy(name, key, f"study: {name}\n", {"digits train": "a" * 64, "det <mlp>": "b" * 64}, tracker, ABOUT)


def shown(name: str, *studies: ShownStudy) -> Shown:
    page = render("frame.html", title=f"Page of {name}")
    return Shown(name, name.replace("_", " ").capitalize(), f"The method of {name} & more.", page, studies)


EXPERIMENTS = (
    shown("theory", study("embedded")),
    shown(
        "transfer_matrix", study("digits"), study("digits eps 1", "f" * 64), study("a b/c", tracker="https://flow/#/1")
    ),
)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return site(lines(), EXPERIMENTS, ABOUT)


@pytest.fixture(scope="module")
def home(files: dict[str, bytes]) -> Page:
    return Page(files[INDEX].decode())


def pages(files: dict[str, bytes]) -> dict[str, str]:
    return {path: data.decode() for path, data in files.items() if path.endswith(".html")}


def test_the_folder_has_what_it_should(files: dict[str, bytes]) -> None:
    assert set(files) == {
        "index.html",
        "theory.html",
        "transfer_matrix.html",
        "scoreboard.csv",
        "scoreboard.txt",
        "measured.csv",
        "configs/theory/embedded.yaml",
        "configs/transfer_matrix/digits.yaml",
        "configs/transfer_matrix/digits_eps_1.yaml",
        "configs/transfer_matrix/a_b_c.yaml",
        "digests/theory/embedded.txt",
        "digests/transfer_matrix/digits.txt",
        "digests/transfer_matrix/digits_eps_1.txt",
        "digests/transfer_matrix/a_b_c.txt",
    }
    assert files["scoreboard.csv"].decode() == as_csv(lines())
    assert files["scoreboard.txt"].decode() == as_text(lines())
    assert files["configs/theory/embedded.yaml"] == b"study: embedded\n"
    assert files["digests/theory/embedded.txt"].decode() == f"{'a' * 64}  digits train\n{'b' * 64}  det <mlp>\n"


def test_every_page_is_whole_and_passes_the_accessibility_check(files: dict[str, bytes]) -> None:
    assert {path: problems(html) for path, html in pages(files).items() if problems(html)} == {}


def test_every_link_is_relative_and_leads_to_a_file_of_the_folder(files: dict[str, bytes]) -> None:
    """Or to the tracker, which is outside."""
    for path, html in pages(files).items():
        for attributes in Page(html).every("a"):
            target = attributes["href"].split("#")[0]
            if target.startswith("https://flow/"):
                continue
            assert not re.match(r"[a-z]+:|/", target), (path, target)
            assert not target or target in files, (path, target)
            assert ".." not in PurePosixPath(target).parts


def test_every_file_is_linked_from_a_page(files: dict[str, bytes]) -> None:
    linked = {
        attributes["href"].split("#")[0] for html in pages(files).values() for attributes in Page(html).every("a")
    }
    assert set(files) - linked == set()


def test_nothing_is_loaded_and_nothing_is_a_script(files: dict[str, bytes]) -> None:
    for html in pages(files).values():
        page = Page(html)
        assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "base"}
        assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
        assert "url(" not in html
        assert "@import" not in html


def test_every_page_leads_to_all_others_and_says_where_one_is(files: dict[str, bytes]) -> None:
    for path, html in pages(files).items():
        nav = Page(re.findall(r"<nav.*?</nav>", html, flags=re.S)[0])
        assert [link["href"] for link in nav.every("a")] == [INDEX, "theory.html", "transfer_matrix.html"]
        assert [link["href"] for link in nav.every("a") if link.get("aria-current") == "page"] == [path]


def test_an_experiment_has_its_method_configs_digests_and_runs(files: dict[str, bytes]) -> None:
    page = Page(files["transfer_matrix.html"].decode())
    assert "The method of transfer_matrix & more." in page.text
    assert "2 digests" in page.text
    assert KEY[:12] in page.text
    assert "theory/digits" in page.text
    assert [link["href"] for link in page.every("a")].count("https://flow/#/1") == 1
    assert "The method of theory" in Page(files[INDEX].decode()).text


def test_a_page_of_no_experiment_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"navigation: a page by `render` has <!-- navigation --> once, this one 0 times"
    ):
        fill("<html></html>", "navigation", "<nav></nav>")
    same_file = shown("theory", study("a b/c"), study("a_b_c"))
    for twice in ([EXPERIMENTS[0], EXPERIMENTS[0]], [same_file]):
        with pytest.raises(ValueError, match=r"every name once, got .*; rename a `study`"):
            site(lines(), twice, ABOUT)


def test_text_that_looks_like_a_mark_is_none() -> None:
    page = render("frame.html", title="<!-- navigation -->")
    assert fill(page, "navigation", "<nav>here</nav>").count("<nav>here</nav>") == 1


def card(html: str, row: int) -> str:
    (found,) = re.findall(rf'<article[^>]* id="row-{row}".*?</article>', html, flags=re.S)
    return str(found)


def test_every_row_is_there_with_its_verdict_in_words_and_colour(files: dict[str, bytes]) -> None:
    html = files[INDEX].decode()
    for one in lines():
        found = card(html, one.row.row)
        text = Page(found).text
        assert unbroken(one.row.title) in text
        assert unbroken(one.row.source) in text
        if one.row.row != 26:
            assert f'<span class="badge {one.code}">{WORDS[one.code]}</span>' in found
        assert unbroken(one.row.note).strip() in text


def test_the_quotation_is_called_no_target_and_nobody_is_told_to_run_it(files: dict[str, bytes]) -> None:
    found = Page(card(files[INDEX].decode(), 26)).text
    assert "not a target" in found
    assert "85.66" in found
    assert "Command" not in found


def test_every_number_stands_with_its_target_error_examples_seeds_and_interval(files: dict[str, bytes]) -> None:
    found = Page(card(files[INDEX].decode(), 1)).text
    for part in ("63.3 % (55 to 87 %)", "84.0 ± 0.1 %", "83.6 to 84.4 %", "criterion ≥ 0 points by 5 standard errors"):
        assert unbroken(part) in found
    assert "n = 900, 3 seeds" in found
    assert "Not the published protocol: Digits, 1 437 training images; mlp" in found
    assert "criterion met" in found


def test_rows_that_were_not_run_say_what_would_run_them(files: dict[str, bytes]) -> None:
    html = files[INDEX].decode()
    for one in lines():
        if one.code == "not_run" and one.row.row != 26:
            text = Page(card(html, one.row.row)).text
            for part in (
                one.row.run.command,
                one.row.run.data,
                one.row.run.cost,
                *one.row.published,
                *one.row.criteria,
            ):
                assert unbroken(part) in text, one.row.row


def test_a_reduced_run_still_says_what_the_published_protocol_would_take(files: dict[str, bytes]) -> None:
    html = files[INDEX].decode()
    assert all_rows()[0].run.command in unescape(card(html, 1))
    assert "At the published protocol" not in card(html, 45)  # run there, and complete


def test_a_row_that_is_contradicted_looks_so_whatever_else_it_says(files: dict[str, bytes]) -> None:
    html = files[INDEX].decode()
    assert '<article class="row contradicted" id="row-4"' in html
    assert '<article class="row disagree" id="row-3"' in html
    found = card(html, 3)
    assert found.index("same direction") < found.index("badge contradicted")
    assert "<details" not in found[: found.index("badge contradicted")]  # not folded away


def test_an_excuse_is_told_beside_the_criterion_that_it_excuses(files: dict[str, bytes]) -> None:
    found = Page(card(files[INDEX].decode(), 2)).text
    assert "criterion failed, which says nothing here" in found
    assert "the attack succeeds on 41 % only".replace(" %", "\u00a0%") in found
    met = index(lines(evidence(2, "above chance", 0.2, undecided="weak attack")), {}, ABOUT)
    assert "weak attack" not in met


def test_long_rows_are_folded_but_never_what_is_off() -> None:
    published = all_rows()[44].published
    found = [
        evidence(45, name, one.value - (0.5 if name == "D_R, 2η" else 0.0), 1e-4, seeds=5, on="w", protocol="")
        for name, one in published.items()
    ]
    html = card(index(lines(*found), {}, ABOUT), 45)
    before, folded = html.split("<details>", 1)
    assert "All 19 numbers of 1 run" in folded
    assert before.count('<th scope="row">') == 8
    assert "D_R, 2η" in before
    assert "outside tolerance" in before
    assert all(f'<th scope="row">{name}</th>' in folded for name in published)


def test_counts_stand_on_top_with_what_each_verdict_means(home: Page) -> None:
    for code, meaning in MEANINGS.items():
        assert unbroken(meaning) in home.text
        count = sum(one.code == code and one.row.row != 26 for one in lines())
        assert f"{count} × {WORDS[code]}" in home.text
    assert home.text.index(" × not run") < home.text.index("D_rand, CIFAR-10, ResNet-50")
    measured = sum(bool(one.runs) for one in lines())
    assert f"{measured} rows are measured here" in home.text


def test_rows_lead_to_the_page_of_their_experiment_where_there_is_one(files: dict[str, bytes]) -> None:
    html = files[INDEX].decode()
    assert '<a href="transfer_matrix.html">Transfer matrix</a>' in card(html, 1)
    assert '<a href="theory.html">Theory</a>' in card(html, 45)
    assert "<a href" not in card(html, 18)  # learning from errors was not shown
    assert job_of("jobs/theory.py squares=null") == "theory"
    assert job_of("none yet: no data") == ""


def test_what_comes_from_evidence_is_text_and_never_markup(files: dict[str, bytes]) -> None:
    html = files[INDEX].decode()
    assert "<CIFAR-10>" not in html
    assert "&lt;CIFAR-10&gt;, resnet18 &amp; co" in html


def test_provenance_stands_on_the_index(home: Page) -> None:
    assert "0123456789ab" in home.text
    assert "two CPU cores" in home.text
    assert "python jobs/reproduce.py suite=embedded" in home.text
    dirty = ABOUT._replace(commit="0123456789abcdef with uncommitted changes")
    assert dirty.short_commit == "0123456789ab with uncommitted changes"


def test_an_empty_laboratory_has_a_page_too() -> None:
    html = index(scoreboard_lines.scored([]), {}, ABOUT)
    assert problems(html) == []
    assert f"{len([*filter(is_target, all_rows())])} × not run" in Page(html).text
    assert "None was shown" in html


def test_links_are_titles() -> None:
    assert Link("a.html", "A").said == ""
