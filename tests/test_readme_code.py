"""The README's lines of Python, as they stand there, beside the job that they talk of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import raylab
from raylab import cli
from raylab.experiments.transfer import EXPERIMENT

ROOT = Path(__file__).parent.parent
SMALL = [
    "data={name: digits, per_class: 12}",
    "sources=[mlp]",
    "targets=[linear]",
    "kinds=[det]",
    "seeds=[0]",
    "train={epochs: 5, batch_size: 32}",
    "controls={untrained: false, random_labels: false}",
    "neighbours=50",
]


def code() -> str:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    return str(blocks[0])


def test_the_lines_of_the_readme_make_the_bytes_of_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAYLAB_HOME", str(tmp_path))
    site = tmp_path / "site.yaml"
    site.write_text("{backend: inline, tracking: none, free_gb: 0}")
    cli.run(EXPERIMENT, None, [*SMALL, "--site", str(site)])
    store = raylab.open_store()
    constructed = map(store.artifact, store.artifacts("constructed")["key"])
    keys = [one.key for one in constructed if (one.config["aim"], one.config["split"]) == ("det", "train")]
    capsys.readouterr()
    found: dict[str, object] = {}
    assert code().count('"KEY"') == 1
    exec(compile(code().replace("KEY", keys[0]), "README.md", "exec"), found)
    said = capsys.readouterr().out
    assert said.startswith(str(found["made"].success))  # type: ignore[attr-defined]
    assert re.search(r"^0 +[0-9a-f]{12} +digits +det", said, re.MULTILINE)
    assert len(code().strip().splitlines()) <= 10
