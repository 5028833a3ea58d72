"""A store for the tests of one run, and two tiny real matrices in it."""

from __future__ import annotations

import pytest
import runs

from raylab.engine.store import Store
from raylab.experiments.transfer import Matrix, measure


@pytest.fixture(scope="session")
def digits(report_store: Store) -> Matrix:
    return measure(runs.built(runs.DIGITS, report_store))


@pytest.fixture(scope="session")
def seefar(report_store: Store) -> Matrix:
    return measure(runs.built(runs.SEEFAR, report_store))
