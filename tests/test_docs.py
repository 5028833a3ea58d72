"""What the README and docs/ point at is there, and what they tell people to type is known."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from test_every_job import JOBS, NOT_RUN

from raylab.report.experiments import EXPERIMENTS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "k8s" / "README.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_images_and_files_of_a_page_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    links += re.findall(r'src="([^"]+)"', text)
    absent = [link for link in links if link and not (page.parent / link).exists()]
    named = re.findall(r"(?<![\w/.])((?:configs|jobs|raylab|tests|docs|k8s)/[\w./-]+\.(?:py|yaml|csv|md|svg))", text)
    assert [*absent, *(name for name in named if not (ROOT / name).exists())] == []


def test_every_job_of_the_readme_is_run_by_a_test_and_every_job_is_in_the_readme() -> None:
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Experiments")[2].partition("## ")[0]
    named = set(re.findall(r"^\|.*`jobs/(\w+)\.py`", table, re.MULTILINE))
    assert named == {path.stem for path in (ROOT / "jobs").glob("*.py")} >= set(EXPERIMENTS)
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py") if path.name != "test_docs.py")
    assert {name for name in named if name not in JOBS and f"{name}.py" not in tests} == NOT_RUN


def test_every_dependency_has_its_reason_in_the_decisions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    names = {re.split(r"[\[<>=]", each)[0] for each in wanted} - {project["name"]}
    decisions = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    assert {name for name in names if f"*{name}*" not in decisions} == set()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= 9_000
