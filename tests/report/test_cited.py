"""The end of a report: what was made, from manifests, and whom to cite."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from raylab.engine.identity import short
from raylab.experiments.transfer import EXPERIMENT, Matrix
from raylab.report.cited import PAPERS, bibtex, cited
from raylab.report.experiments import EXPERIMENTS

ROOT = Path(__file__).parents[2]


def test_the_method_of_a_study_tells_its_data_attack_seeds_and_versions(digits: Matrix) -> None:
    paragraph, entries = cited(EXPERIMENT, digits.built).blocks
    attack, sets = digits.config.attack, {c: a for c, a in digits.built.artifacts.items() if c.role == "data"}
    for artifact in sets.values():
        assert f"{artifact.rows:,} images, sha256 {artifact.digest[:12]}" in paragraph.text
    assert re.search(
        rf"constructed × \d+ \(targets [^)]*norm {attack.norm}; radius {attack.eps:g}; steps {attack.steps}",
        paragraph.text,
    )
    assert "epochs 0, 1, 2" in paragraph.text
    assert f"Seeds: {', '.join(map(str, digits.config.seeds))};" in paragraph.text
    assert f"Study {short(digits.built.key)}" in paragraph.text
    commit = next(iter(digits.built.artifacts.values())).manifest["provenance"]["commit"][:12]
    assert commit in paragraph.text
    assert short(digits.built.key) in entries.text
    assert re.findall(r"^@\w+\{(\w+),", entries.text, re.MULTILINE) == ["raylab", "ilyas2019", "discussion2019"]


def test_every_report_ends_with_them(digits: Matrix) -> None:
    results = EXPERIMENT.results([digits.built])
    (whole,) = results.full_texts
    assert whole.rstrip().endswith("}")
    assert whole.index("@software{raylab") < whole.index("@inproceedings{ilyas2019")
    assert results.page.count("@inproceedings{ilyas2019") == 1


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_papers_of_every_experiment_are_known_and_named_in_its_source(name: str) -> None:
    one = EXPERIMENTS[name]
    for entry in bibtex(one.papers):
        author = re.search(r"author\s*= \{(\w+)", entry)
        assert author
        assert author[1] in one.source


def test_braces_of_the_papers_close_and_all_are_cited() -> None:
    text = PAPERS.read_text(encoding="utf-8")
    keys = re.findall(r"^@\w+\{(\w+),", text, re.MULTILINE)
    assert len(bibtex(keys)) == len(set(keys)) == len(keys)
    assert all(entry.count("{") == entry.count("}") for entry in bibtex(keys))
    used = {"ilyas2019", "discussion2019", *(key for one in EXPERIMENTS.values() for key in one.papers)}
    assert set(keys) == used


def test_the_citation_file_has_the_version_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
