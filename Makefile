# Pressroom: tasks for developers and new users; `make` lists them.

PYTHON ?= python3
# Alternative package index for torch: https://download.pytorch.org/whl/cpu, .../cu130, .../rocm7.1
TORCH_INDEX ?=
# Additional pytest arguments, such as `-x -k storage`.
PYTEST_FLAGS ?=
# Architecture for `make bench-gpu`, and additional arguments, such as `--service --variants compiled --batches 1,8`.
ARCH ?= sd15
BENCH_FLAGS ?=
# Model for `make bench-speed`.
SPEED_OF ?= starter
# Duration of `make soak` in minutes; SEED selects the faults.
MINUTES ?= 30
SEED ?= 1

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest -q $(PYTEST_FLAGS)
# Several processes; the tests of a file, and all tests that share a running stack, stay in one of them.
PARALLEL := -n 3 --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help install demo up test test-unit test-integration test-functional test-faults test-browser screenshots \
	chaos check format fuzz soak bench bench-marking bench-peers bench-gpu bench-slow-clients bench-speed bench-submit bench-tables bench-console bench-retention \
	bench-report train-starter bench-starter clean

##@ Getting started

install: $(STAMP) ## Create .venv and install Pressroom with the press and the developer tools

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Pressroom needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt \
		$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -e '.[press,dev,bench]'
	@touch $@

demo: $(STAMP) ## Generate ten images and a small campaign on this machine, with contact sheets
	@$(BIN)/pressroom demo

up: $(STAMP) ## Run the stack in the foreground: api, press, clerk, embedded servers
	@$(BIN)/pressroom up

##@ Development

test: $(STAMP) ## Run all tests except the rarer faults
	$(PYTEST) $(PARALLEL) -m "not chaos" tests/functional tests/faults tests/integration tests/contracts tests/unit

test-unit: $(STAMP) ## Run the tests that only need Python
	$(PYTEST) $(PARALLEL) tests/unit tests/contracts

test-integration: $(STAMP) ## Run the tests with real databases, brokers and storage
	$(PYTEST) $(PARALLEL) tests/integration

test-functional: $(STAMP) ## Run the tests of the whole stack
	$(PYTEST) $(PARALLEL) tests/functional

test-browser: $(STAMP) ## Test the console in a browser (5 minutes; needs Debian's chromium, or CHROMIUM=path)
	$(PYTEST) tests/browser

screenshots: $(STAMP) ## Save screenshots of the console to var/screenshots, and update those in docs/img
	PRESSROOM_SCREENSHOTS=var/screenshots $(PYTEST) tests/browser/test_screenshots.py tests/browser/test_curation.py
	@for picture in docs/img/*.png; do new=var/screenshots/$${picture##*/}; test ! -f $$new || cp $$new $$picture; done

test-faults: $(STAMP) ## Run the fault tests required for every change: dying processes, broken links
	$(PYTEST) $(PARALLEL) -m "not chaos" tests/faults

chaos: $(STAMP) ## Run the rarer faults: full disks, wrong clocks, forged messages, restored backups
	$(PYTEST) -m chaos tests/faults

check: $(STAMP) ## Check style, types, package boundaries, spelling and Docker files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/hadolint docker/*.Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker/compose.yaml docker/compose.gpu.yaml

format: $(STAMP) ## Format the code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

fuzz: $(STAMP) ## Fuzz the live API with thousands of unusual requests
	$(BIN)/python -m tests.fuzz

soak: $(STAMP) ## Inject faults for MINUTES=30 while four presses work, then verify the guarantees
	$(BIN)/python -m tests.soak --minutes $(MINUTES) --seed $(SEED)

##@ Benchmarks (results go to var/bench; run nothing else meanwhile)

bench: $(STAMP) ## Measure the service against bare loops, with random arrivals, and the tail (20 minutes)
	$(BIN)/python -m tests.bench.engine.arrivals
	$(BIN)/python -m tests.bench.service.publishing
	$(BIN)/python -m tests.bench.service.overhead

bench-marking: $(STAMP) ## Measure the cost of checking and marking (15 minutes)
	$(BIN)/python -m tests.bench.service.marking $(BENCH_FLAGS)

bench-peers: $(STAMP) ## Measure the service against a plain Celery worker and LitServe (20 minutes)
	$(BIN)/python -m tests.bench.service.peers

bench-gpu: $(STAMP) ## Measure the engine on a GPU: ARCH=sd15, sdxl, sdxl-lightning or flux (9 minutes each)
	$(BIN)/python -m tests.bench.engine.accelerator $(ARCH) $(BENCH_FLAGS)

bench-speed: $(STAMP) ## Measure the speed settings: SPEED_OF=starter (CPU, 10 minutes), sd15, sdxl or flux
	$(BIN)/python -m tests.bench.engine.speed $(SPEED_OF)

bench-slow-clients: $(STAMP) ## Measure submits beside 200 slow clients, on the api's server and five others (20 minutes)
	$(BIN)/python -m tests.bench.service.slow_clients

bench-submit: $(STAMP) ## Measure durable submits against a plain Flask view with a row and delay() (2 minutes)
	$(BIN)/python -m tests.bench.service.submit

bench-tables: $(STAMP) ## Measure claims, submissions and pages with 300,000 queued and 1,000,000 finished jobs (15 minutes)
	$(BIN)/python -m tests.bench.service.large_tables $(BENCH_FLAGS)

bench-retention: $(STAMP) ## Measure the images that one clerk erases per second, from S3 and from files (2 minutes)
	$(BIN)/python -m tests.bench.service.retention

bench-console: $(STAMP) ## Measure the console's pages with 100,000 jobs, and the cost of open pages (6 minutes)
	$(BIN)/python -m tests.bench.console.console

bench-report: $(STAMP) ## Print the results as Markdown
	@$(BIN)/python -m tests.bench.report

##@ The starter model

train-starter: $(STAMP) ## Train the starter model from scratch (hours)
	$(BIN)/python -m worker.starter.train

bench-starter: $(STAMP) ## Measure how well the starter model follows prompts
	$(BIN)/python -m tests.bench.engine.starter

##@ Other

clean: ## Remove the environment, caches and the demo's data; keep the rest of var/
	rm -rf $(VENV) var/demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .schemathesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf ./*.egg-info

help: ## List the available targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
