"""Two tiny real matrices, built once."""

from __future__ import annotations

import pytest
import runs

from raylab.report.transfer.matrix import Matrix
from raylab.store import Store


@pytest.fixture(scope="session")
def report_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(str(tmp_path_factory.mktemp("report") / "store"))


@pytest.fixture(scope="session")
def digits(report_store: Store) -> Matrix:
    return runs.built(runs.DIGITS, report_store)


@pytest.fixture(scope="session")
def seefar(report_store: Store) -> Matrix:
    return runs.built(runs.SEEFAR, report_store)
