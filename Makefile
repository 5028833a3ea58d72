# `make demo` and `make test` need nothing before them but Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check install readme cluster-local cluster-local-down

install: $(STAMP)

# The pins of constraints.txt: torch and torchvision that belong together, and everything as it was tested.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "raylab needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install
	$(BIN)/python jobs/transfer_matrix.py $(addprefix configs/transfer_matrix/demo/,$(addsuffix .yaml,$(DEMO)))
	$(BIN)/python jobs/robust_features.py configs/robust_features/demo/seefar.yaml

DEMO := digits digits_eps1.25 seefar seefar_no_toogits seefar_no_toogits_eps1.0

test: install
	$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup

# What CI runs besides the tests' own calls of these.
check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The table of measured rows in README.md, from .readme/measured.csv; with RESULTS=.../measured.csv these are merged into it first.
readme: install
	$(BIN)/python -m raylab.report.scoreboard.readme $(RESULTS)

# Head, worker, MLflow on PostgreSQL, a stand-in for S3: the parts of a cluster as processes of this machine (k8s/README.md).
cluster-local: install
	@$(BIN)/python k8s/local/cluster.py up

cluster-local-down:
	@$(BIN)/python k8s/local/cluster.py down
