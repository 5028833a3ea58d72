"""A store on a network that fails: requests are tried again, then there is a clear error, and no manifest is ever there
without all of its parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import toy
from faulty_proxy import proxy
from harness import WHOLE, Tell, times
from moto.server import ThreadedMotoServer

from raylab.engine import runner
from raylab.engine.artifact import StoreError
from raylab.engine.runner import BuildFailed, InlineBackend
from raylab.engine.stage import Stage
from raylab.engine.store import Store

FAULTS = {
    "500": {"500": 0.2},
    "503": {"503": 0.2},
    "slow": {"slow": 0.2},
    "cut in the middle of a PUT": {"cut": 0.4},
    "done, but not answered": {"unanswered": 0.2},
    "stale listings": {"stale": 0.7},
    "all of them": {"500": 0.1, "503": 0.1, "slow": 0.05, "cut": 0.1, "unanswered": 0.1, "stale": 0.3},
    "nothing but 503": {"503": 1.0},
}
MOST_TRIES = 40


@pytest.fixture(scope="module")
def s3() -> Iterator[int]:
    """The port of a stand-in for S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield server.get_host_and_port()[1]
    server.stop()


def store(port: int, name: str) -> Store:
    at = f"s3://{name}/store?endpoint_override=127.0.0.1:{port}&scheme=http&allow_bucket_creation=true"
    return Store(at)


def cells() -> dict[str, Stage]:
    data = toy.numbers(60)
    return {"squares": toy.squares(data), "again": toy.squares(toy.squares(data), name="again")}


@pytest.mark.parametrize("draw", times(quick=1, whole=5))
@pytest.mark.parametrize("fault", list(FAULTS) if WHOLE else list(FAULTS)[-2:])
def test_a_network_that_fails(fault: str, draw: int, s3: int, tmp_path: Path, tell: Tell) -> None:
    name = f"bucket-{list(FAULTS).index(fault)}-{draw}"
    direct = store(s3, name)
    direct.filesystem.create_dir(name)
    plain = runner.build(cells(), Store(str(tmp_path)), InlineBackend(), toy.Recorder())
    errors: list[str] = []
    with proxy(s3, FAULTS[fault], draw, slow_seconds=0.2) as between:
        for _ in range(MOST_TRIES):
            try:
                runner.build(cells(), store(between.port, name), InlineBackend(), toy.Recorder())
                break
            except (BuildFailed, StoreError) as error:
                errors.append(str(error))
                print(error)
            assert_whole(direct)
            if between.shares.get("503") == 1.0:
                between.shares.clear()  # it recovers
    print(between.injected)
    built = runner.build(cells(), direct, InlineBackend(), recorder := toy.Recorder())
    assert recorder.built_labels == []
    assert {cell: one.digest for cell, one in built.items()} == {cell: one.digest for cell, one in plain.items()}
    assert sum(between.injected.values()) > 0
    ended = f"clear error {len(errors)} times, then went on" if errors else "tried again, unseen"
    tell("network store", fault, ended)


def assert_whole(of: Store) -> None:
    """Every manifest has all its parts, with their bytes."""
    for kind in of.kinds():
        for folder in of.folders(kind):
            if (artifact := of.at(folder)) is not None:
                assert artifact.table().num_rows == artifact.rows
