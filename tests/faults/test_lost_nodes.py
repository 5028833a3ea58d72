"""A node is lost while sets are constructed or a sweep runs: the results are those without Ray."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
import sets
import sweeps
import toy
from harness import HERE, Job, Left, Tell, ended, times

from raylab.engine import runner
from raylab.engine.runner import InlineBackend
from raylab.engine.store import Store
from raylab.sweep.run import run


@pytest.mark.parametrize("draw", times(quick=0, whole=5))
@pytest.mark.parametrize("what", ["construction", "sweep"])
def test_a_node_is_lost(what: str, draw: int, tmp_path: Path, tell: Tell) -> None:
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    script = (str(HERE / "losing_nodes.py"), str(tmp_path / "home"), what, str(draw))
    with ended(Job(tmp_path / "home", script, site="", environment=token, program=())) as job:
        assert job.run(800) == 0, job.said()
        if what == "construction":
            runner.build(
                sets.constructed_sets(), Store(str(tmp_path / "plain" / "store")), InlineBackend(), toy.Recorder()
            )
        else:
            run(sweeps.prepared(**sweeps.KINDS["random"]), sweeps.site(tmp_path / "plain"))
        assert Left.of(job.home) == Left.of(tmp_path / "plain")
        assert job.orphans() == 0
    happened = next(line for line in job.said().splitlines() if "were there;" in line)
    tell("node lost", f"{what}; {happened.partition('; ')[2]}", "same digests and tables; no process left")
