# `make demo` and `make test` need nothing before them but Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS_VENV := .venv-peers

.PHONY: demo test fuzz test-quick check peers faults soak install readme docs cluster-local cluster-local-down

install: $(STAMP)

# The pins of constraints.txt: torch and torchvision that belong together, and everything as it was tested.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "raylab needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

# See-Far and its control world on Ray; the two others by themselves, for they take less time than the starts of their rounds there.
demo: install
	$(BIN)/python jobs/transfer_matrix.py $(DEMO)/digits_eps1.25.yaml --site inline
	$(BIN)/python jobs/transfer_matrix.py $(DEMO)/seefar.yaml $(DEMO)/seefar_no_toogits_eps1.0.yaml "sources=[mlp]" "targets=[mlp]" "kinds=[det]"
	$(BIN)/python jobs/robust_features.py configs/robust_features/demo/seefar.yaml --site inline

DEMO := configs/transfer_matrix/demo

test: install
	$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup --no-loadscope-reorder --durations 25

# Configs, command lines, data and archives made at random: FUZZ times as many as `make test` tries, other ones each time.
FUZZ ?= 8
fuzz: install
	RAYLAB_FUZZ=$(FUZZ) $(BIN)/python -m pytest --numprocesses 2 --timeout 3600 tests/test_config_fuzz.py tests/test_archive_fuzz.py tests/data/test_data_fuzz.py

# For daily work: without what starts processes, trains networks or simulates.
test-quick: install
	$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup --no-loadscope-reorder -m "not slow"

# What CI runs besides the tests' own calls of these.
check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Every fault as often as docs/faults.md says; `make test` has each once or twice. FAULT="-k kill" for some of them.
faults: install
	mkdir -p .raylab && rm -f .raylab/faults.csv
	FAULTS=all FAULTS_CSV=$(CURDIR)/.raylab/faults.csv $(BIN)/python -m pytest tests/faults tests/cluster/test_kills.py tests/cluster/test_trials.py --timeout 900 $(FAULT)
	$(BIN)/python tests/faults/table.py .raylab/faults.csv

# Studies and sweeps one after another on Ray, with random kills: what grows over time, and whether the results are the same.
MINUTES ?= 60
SOAK ?= .raylab/soak
soak: install
	$(BIN)/python tests/faults/soak.py $(MINUTES) $(abspath $(SOAK))

# Beside the field's own code, in an environment of its own on top of .venv; arguments in PEERS="-k pgd".
peers: $(PEERS_VENV)/.installed
	$(PEERS_VENV)/bin/python -m pytest tests/peers $(PEERS)

$(PEERS_VENV)/.installed: $(STAMP) tests/peers/requirements.txt
	$(PYTHON) -m venv $(PEERS_VENV)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$($(PEERS_VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/raylab_venv.pth"
	$(PEERS_VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement tests/peers/requirements.txt
	@touch $@

# The table of measured rows in docs/results.md, from docs/measured.csv; with RESULTS=.../measured.csv these are merged into it first.
readme: install
	$(BIN)/python -m raylab.scoreboard.readme $(RESULTS)

# Head, worker, MLflow on PostgreSQL, a stand-in for S3: the parts of a cluster as processes of this machine (k8s/README.md).
cluster-local: install
	@$(BIN)/python k8s/local/cluster.py up

cluster-local-down:
	@$(BIN)/python k8s/local/cluster.py down

# docs/reference.md, from the docstrings of what `import raylab` has.
docs: install
	$(BIN)/python docs/make_reference.py
