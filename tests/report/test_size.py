"""What is said of a run's size: each limit where it applies, and only there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rows import estimate

from raylab.report.transfer.matrix import Matrix
from raylab.report.transfer.size import Size, size_notes, size_of

LARGE = Size(train=50_000, test=10_000, seeds=5, det_controls=True, success=0.9, able=0.95)


def notes(**changed: object) -> str:
    return " ".join(size_notes(replace(LARGE, **changed)))  # type: ignore[arg-type]


def test_a_large_run_with_known_truth_only_gets_its_numbers() -> None:
    assert len(size_notes(LARGE)) == 2
    assert "50,000 training and 10,000 test images a seed, 5 seeds" in notes()
    assert "± 0.5 points" in notes()  # sqrt(.25 / 10,000)
    assert "2.8 of its standard errors" in notes()  # t of 4 degrees of freedom: 2.776


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seeds": 1}, "no row can be judged"),
        ({"seeds": 3}, "4.3 of its standard errors (Student's t): small effects stay unseen"),
        ({"train": 2000, "full_train": 50_000}, "uses 4 % of them: published numbers are not to be expected"),
        ({"det_controls": None}, "Only det can contradict what the images show"),
        ({"det_controls": False}, "Some det sets have no control"),
        ({"success": 0.12}, "leads no source to its target in more than 12 % of the images"),
        ({"able": 0.45}, "no effect at this size does not mean no effect"),
        ({"robust": False}, "Some det rows have no robust source beside them"),
    ],
)
def test_each_limit_is_said_where_it_applies(changed: dict[str, object], said: str) -> None:
    assert said in notes(**changed)
    assert said not in notes()


def test_seeds_that_share_images_are_asked_at_most_students_t(digits: Matrix, seefar: Matrix) -> None:
    """Digits' seeds draw from one set, and what their images cost is known better; a seed of See-Far is a world."""
    assert "exceeds at most 4.3 of its standard errors (Student's t; fewer where" in notes(seeds=3, shared=True)
    assert "at most" not in notes(seeds=3)
    assert size_of(digits).shared
    two = replace(seefar, config=seefar.config.model_copy(update={"seeds": (0, 1)}))
    assert not size_of(two).shared


def test_the_whole_data_set_is_no_limit() -> None:
    assert notes(full_train=50_000) == notes()


def test_the_best_ordinary_network_may_be_a_source(digits: Matrix) -> None:
    """The sentence "The best ordinary network reaches 54 %" stood above a source at 55.9."""
    weak = replace(digits, standard={"mlp": estimate(0.54)}, sources={"mlp": estimate(0.559), "cnn": estimate(0.3)})
    assert size_of(weak).able == 0.559
    assert "The best ordinary network reaches 56 %" in " ".join(size_notes(size_of(weak)))
