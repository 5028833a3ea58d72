"""The scoreboard in a tracker: every run of every row is a child of its own."""

from __future__ import annotations

from scoreboard_lines import evidence

from raylab.scoreboard.cells import ours
from raylab.scoreboard.publication import parent, publication
from raylab.scoreboard.rows import all_rows
from raylab.scoreboard.verdict import scored


def test_runs_of_one_name_from_two_experiments_are_two_children() -> None:
    found = [
        evidence(4, "det above chance", -0.1)._replace(experiment=name) for name in ("controls", "transfer_matrix")
    ]
    told = publication(parent("embedded", "a" * 64), scored(found), {}, "c" * 40)
    assert len({child.key for child in told.children}) == 2
    assert [child.params["experiment"] for child in told.children] == ["controls", "transfer_matrix"]
    assert told.parent.metrics["rows.not_run"] == len(all_rows()) - 1  # row 4 is measured
    assert told.children[0].metrics["det above chance"] == -0.1


def test_a_standard_error_is_told_where_the_page_shows_one() -> None:
    """What is computed has none."""
    for n, shown in ((900, True), (0, False)):
        found = evidence(4, "det above chance", -0.1, n=n)
        (child,) = publication(parent("embedded", "a" * 64), scored([found]), {}, "c" * 40).children
        assert ("det above chance.se" in child.metrics) == shown == ("±" in ours(found.ours, "points"))
