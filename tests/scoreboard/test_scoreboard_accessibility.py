"""Pages can be read by those who do not see them as we do: structure, and the contrast of every pair of colours."""

from __future__ import annotations

import re
from itertools import product

import pytest
import scoreboard_lines
from accessibility import problems

from raylab.report.frame import HERE
from raylab.report.picture import contrast
from raylab.scoreboard.page import index

CSS = re.sub(r"/\*.*?\*/", "", (HERE / "page.css").read_text(), flags=re.S)
AA = 4.5  # to 1: WCAG 2.2, 1.4.3, text of any size
GOOD = (
    '<!doctype html><html lang="en"><head><meta name="viewport" content="width=device-width"><title>t</title></head>'
    '<body><main><h1>one</h1><h2 id="two">two</h2><a href="#two">there</a><table><tr><th scope="col">a</th></tr>'
    '<tr><td>b</td></tr></table><img src="x" alt="a cat"><ul><li>x</li></ul></main></body></html>'
)


def test_the_scoreboard_has_no_problem() -> None:
    assert problems(index(scoreboard_lines.lines(), {}, scoreboard_lines.ABOUT)) == []
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("<!doctype html>", "", "no doctype"),
        (' lang="en"', "", "language"),
        ("<title>t</title>", "", "one <title>"),
        ("<title>t</title>", "<title> </title>", "<title> without text"),
        ("width=device-width", "width=1280", "no viewport"),
        ("width=device-width", "width=device-width, user-scalable=no", "forbids zooming"),
        ("<main>", "<main></main><main>", "one <main>"),
        ("<h1>one</h1>", "<h2>one</h2>", "one <h1>, got 0"),
        ("<h1>one</h1>", "<h1>one</h1><h1>one</h1>", "one <h1>, got 2"),
        ("<h1>one</h1>", "<h2>before</h2><h1>one</h1>", "the first heading"),
        ('<h2 id="two">two</h2>', '<h3 id="two">two</h3>', "<h3> follows <h1>"),
        (' alt="a cat"', "", "without alt"),
        (' alt="a cat"', ' alt=" "', "without alt"),
        (' scope="col"', "", "without scope"),
        ('<th scope="col">a</th>', "<td>a</td>", "without headers"),
        (">there</a>", "></a>", "<a> without text"),
        ('href="#two"', 'href="#three"', "not there"),
        ('href="#two"', 'href="#"', "to nowhere"),
        ("<h1>", '<h1 id="two">', "2 times"),
        ("<main>", '<main aria-labelledby="none">', "aria-labelledby none"),
        ("<main>", '<main><p tabindex="3">x</p>', "tabindex"),
        ("<main>", "<main><nav></nav>", "<nav> 0 without a name"),
        ("<li>x</li></ul>", "</ul><li>x</li>", "<li> in <main>"),
        ("</main>", "", "closes main"),
    ],
)
def test_every_problem_would_be_seen(right: str, wrong: str, said: str) -> None:
    assert right in GOOD
    assert any(said in problem for problem in problems(GOOD.replace(right, wrong, 1)))


def rules(css: str, inside: str = "") -> list[tuple[str, str, dict[str, str]]]:
    """(media query, selector, declarations) of a style sheet that nests no deeper than media queries do."""
    found, at = [], 0
    while (start := css.find("{", at)) >= 0:
        head, depth, end = css[at:start].strip(), 1, start + 1
        while depth:
            depth += {"{": 1, "}": -1}.get(css[end], 0)
            end += 1
        body = css[start + 1 : end - 1]
        if head.startswith("@media"):
            found += rules(body, head)
        else:
            pairs = (part.split(":", 1) for part in body.split(";") if ":" in part)
            found.append((inside, head, {name.strip(): value.strip() for name, value in pairs}))
        at = end
    return found


RULES = rules(CSS)
DARK = "@media (prefers-color-scheme: dark)"


def variables(scheme: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for inside, selector, declared in RULES:
        if selector == ":root" and (not inside or (inside == DARK and scheme == "dark")):
            found |= {name: value for name, value in declared.items() if name.startswith("--")}
    return found


def colour(value: str, scheme: str) -> tuple[float, float, float] | None:
    """sRGB in [0, 1]; None for what is transparent or inherited."""
    if name := re.fullmatch(r"var\((--[\w-]+)\)", value):
        return colour(variables(scheme)[name[1]], scheme)
    if value in ("transparent", "currentColor", "inherit"):
        return None
    assert re.fullmatch(r"#([0-9a-f]{3}|[0-9a-f]{6})", value), f"{value}: a colour that this test can read"
    digits = value[1:] if len(value) == 7 else "".join(2 * digit for digit in value[1:])
    red, green, blue = (int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4))
    return red, green, blue


def pairs(scheme: str) -> list[tuple[str, str, str]]:
    """(where, text, background): those of one rule together; what sets one alone meets all that may lie there.

    A rule with both is an island, as badges are. Text of no colour of its own is that of the page.
    """
    texts, backgrounds, islands = [], [], []
    for _, selector, declared in RULES:
        text, background = declared.get("color"), declared.get("background", declared.get("background-color"))
        if text and background and colour(background, scheme) and selector != "body":
            islands.append((selector, text, background))
            continue
        if text and text != "inherit":
            texts.append((selector, text))
        if background and colour(background, scheme):
            backgrounds.append((selector, background))
    crossed = [(f"{of} on {where}", text, on) for (of, text), (where, on) in product(texts, backgrounds)]
    return islands + crossed


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_on_every_background_it_may_lie_on(scheme: str) -> None:
    found = pairs(scheme)
    assert len(found) > 30
    ratios = {}
    for where, text, background in found:
        one, other = colour(text, scheme), colour(background, scheme)
        assert one is not None
        assert other is not None
        ratios[where] = contrast(one, other)
    assert {where: round(ratio, 2) for where, ratio in ratios.items() if ratio < AA} == {}


def test_the_badges_of_all_verdicts_are_among_the_pairs() -> None:
    said = " ".join(where for where, _, _ in pairs("light"))
    for code in ("reproduced", "same_direction", "inconclusive", "contradicted", "disagree", "not_run"):
        assert f".badge.{code}" in said


def test_a_contradiction_is_as_loud_as_a_reproduction() -> None:
    """Filled both, and standing out from the page by about as much."""
    for scheme in ("light", "dark"):
        paper = colour("var(--paper)", scheme)
        loud = [colour(f"var(--{name})", scheme) for name in ("yes", "no", "torn")]
        assert paper is not None
        ratios = [contrast(paper, one) for one in loud if one is not None]
        assert len(ratios) == 3
        assert min(ratios) > AA
        assert max(ratios) / min(ratios) < 1.5


def test_the_formula_is_that_of_wcag() -> None:
    assert contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21.0)
    grey = (0x76 / 255,) * 3  # the lightest grey that passes on white
    assert contrast(grey, (1, 1, 1)) == pytest.approx(4.54, abs=0.01)
