# The two commands that a fresh machine needs are `make repro` and `make test`; both set up .venv first.
PYTHON ?= python3
UV_VERSION := 0.13.8
STAMP := .venv/.installed

SHELL := $(shell command -v bash || echo /bin/sh)
export SHELL # DVC runs its stages with it, and bash steps aside for them: a killed DVC then takes its stage along
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export TOKENIZERS_PARALLELISM := false

.PHONY: help env repro experiments speed test flows rehearse hostile lock

help: ## list what can be made
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile | expand -t 16

env: $(STAMP) ## install exactly what requirements.lock pins, into .venv

repro: $(STAMP) ## run every stage that is out of date, then record the rest in MLflow
	dvc repro
	python -m synthpairs mlflow-sync

experiments: $(STAMP) ## the main run's questions over several seeds: an hour and a half
	dvc repro experiments/dvc.yaml

speed: $(STAMP) ## training fed by embeddings against training fed by pixels
	python -m perf.embeddings_vs_pixels

test: $(STAMP) ## lint, declared dependencies, types, tests
	ruff check .
	ruff format --check .
	deptry --no-ansi .
	deptry --no-ansi tests --exclude '\.git' --ignore DEP002,DEP004
	mypy
	SYNTHPAIRS_TRACKING=off pytest

flows: $(STAMP) ## what a user does, by the real programs in fresh clones, with the smoke preset
	pytest tests/flows -x --durations=15

PRESET ?= paper

rehearse: $(STAMP) ## a paper's preset to its report, with random weights and no network; PRESET=NAME: another than paper; LONG=1: with lmms-eval
	pytest tests/rehearsal -x --preset=$(PRESET)$(if $(LONG), --lmms-eval)

SEED ?= 0

hostile: $(STAMP) ## kills, and inputs that are broken or meant to break; SEED=N: others
	pytest tests/hostile -x --durations=15 --seed=$(SEED)

COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet

lock: $(STAMP) ## compile the lock files anew from pyproject.toml
	$(COMPILE) pyproject.toml --group dev --output-file requirements.lock
	$(COMPILE) --group lmms-eval --output-file synthpairs/evaluation/benchmarks/lmms_eval.lock

$(STAMP): requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "error: no $(PYTHON); synthpairs needs Python 3.11 or later" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("error: synthpairs needs Python 3.11 or later, \
	$(PYTHON) is %d.%d; try make PYTHON=python3.11" % v[:2])'
	test -x .venv/bin/pip || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	uv pip sync --quiet --require-hashes --compile-bytecode --python .venv/bin/python requirements.lock
	touch $@
