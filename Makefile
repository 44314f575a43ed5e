# The manual of this project: `make` alone prints it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Only these are run by `make test T=...`; everything without it.
T ?=
# The checkout that `make figures` counts; this one without it.
C ?=
# No network; the contract suite over the in-memory broker belongs to `make unit` as well.
UNIT := tests/unit tests/golden tests/architecture
UNIT_WORKERS ?= 2
# Most of the others wait for sockets and processes: more of them than cores. The fast tests run beside them in one
# process, which spends a fifth less on them than two do that import and collect, and report to a third.
WORKERS ?= 6
REST := tests $(UNIT:%=--ignore=%) --ignore=tests/bench --ignore=tests/soak

.PHONY: help install run demo test unit check format bench bench-containers bench-headers bench-idle bench-pages bench-query bench-retrieve \
  bench-store figures golden messages pictures soak lock sbom \
  clean system-packages

help:  ## Print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  make test T=tests/unit/nodes/test_nodes.py runs one file or folder."

install: $(INSTALLED)  ## Make .venv with everything that is needed to run; leaves .venv/bin/doseqr

run: $(INSTALLED)  ## Run everything with a demo PACS at http://127.0.0.1:8000 until Ctrl-C
	@$(BIN)/doseqr local run

demo: $(INSTALLED)  ## Query, retrieve and verify with a demo PACS, then end; leaves nothing running
	@$(BIN)/doseqr local demo

test: $(INSTALLED_DEV) system-packages  ## Run all tests, on a real RabbitMQ, PostgreSQL and DICOM peers; T=path for a part
	@if [ -n "$(T)" ]; then .ci/with-broker $(BIN)/pytest $(T); else \
	  failed=0; printed=$$(mktemp); \
	  TEST_CPU=$${TEST_CPU:+$$TEST_CPU.unit} $(BIN)/pytest -q -o cache_dir=.pytest_cache/unit \
	    $(UNIT) > "$$printed" 2>&1 & unit=$$!; \
	  trap 'kill $$unit 2> /dev/null || true; rm -f "$$printed"' EXIT; \
	  .ci/with-broker --shared $(BIN)/pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(REST) || failed=1; \
	  wait $$unit || failed=1; cat "$$printed"; \
	  exit $$failed; fi

unit: $(INSTALLED_DEV)  ## Run the fast tests: no network, no broker but the one in memory
	@$(BIN)/pytest -q -n $(UNIT_WORKERS) $(UNIT)
	@$(BIN)/pytest -q tests/contract -k "not rabbitmq"

check: $(INSTALLED_DEV)  ## Check format, lint and types, all of them; what CI does before the tests
	@failed=; \
	$(BIN)/ruff format --check . || failed="$$failed format"; \
	$(BIN)/ruff check . || failed="$$failed lint"; \
	$(BIN)/mypy || failed="$$failed types"; \
	if docker compose version > /dev/null 2>&1; then \
	  docker compose --profile demo config -q || failed="$$failed compose"; fi; \
	if [ -n "$$failed" ]; then echo "Failed:$$failed" >&2; exit 1; fi

format: $(INSTALLED_DEV)  ## Format the code and mend what can be mended
	@$(BIN)/ruff check --fix --exit-zero .
	@$(BIN)/ruff format .

bench: $(INSTALLED_DEV)  ## Measure and print the numbers; bench-headers, -idle, -pages, -query, -retrieve and -store a part
	@.ci/with-broker $(BIN)/pytest -q -s tests/bench

bench-containers:  ## Build the image and measure it in containers: size, cold start, idle CPU (needs docker)
	@python3 deploy/measure_containers.py

bench-headers: $(INSTALLED_DEV)
	@.ci/with-broker $(BIN)/pytest -q -s tests/bench/test_headers.py

bench-idle: $(INSTALLED_DEV)
	@$(BIN)/pytest -q -s tests/bench/test_idle.py

bench-query: $(INSTALLED_DEV)
	@.ci/with-broker $(BIN)/pytest -q -s tests/bench/test_query.py

bench-pages: $(INSTALLED_DEV)
	@.ci/with-broker $(BIN)/pytest -q -s tests/bench/test_pages.py

bench-retrieve: $(INSTALLED_DEV)
	@.ci/with-broker $(BIN)/pytest -q -s tests/bench/test_retrieve.py

bench-store: $(INSTALLED_DEV)
	@.ci/with-broker $(BIN)/pytest -q -s tests/bench/test_store.py

figures: $(INSTALLED_DEV)  ## Print what the architecture tests count; C=path for another checkout
	@$(BIN)/python -m tests.architecture.figures $(C)

golden: $(INSTALLED_DEV)  ## Write golden files, schemas and docs/faults.md anew; review the difference
	@$(BIN)/python -m tests.golden.write
	@$(BIN)/python -m tests.matrix.page

messages: $(INSTALLED_DEV)  ## Extract the texts of the page into services/web/translations; translate what is empty
	@$(BIN)/python -m tests.support.messages.write

pictures: $(INSTALLED_DEV) system-packages  ## Take the pictures of docs/images anew, from the page of a demo
	@$(BIN)/python -m tests.support.pictures.write

soak: $(INSTALLED_DEV)  ## Run the long tests: large queries, faults, hours, thousands of made-up examples
	@TEST_EXAMPLES=$${TEST_EXAMPLES:-2000} $(BIN)/pytest -q -m hypothesis --timeout 1800 tests/unit
	@.ci/with-broker $(BIN)/pytest -q -s tests/soak

lock: $(INSTALLED)  ## Pin the newest allowed versions of all dependencies with their hashes
	@test -x $(VENV)/lock/bin/pip-compile || { $(BIN)/python -m venv $(VENV)/lock && $(VENV)/lock/bin/pip install -q pip-tools; }
	@for name in build runtime dev; do \
	  PIP_FIND_LINKS= PIP_EXTRA_INDEX_URL= $(VENV)/lock/bin/pip-compile --quiet --upgrade --generate-hashes \
	    --strip-extras --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	    --output-file requirements/$$name.txt requirements/$$name.in; done

sbom: $(INSTALLED)  ## Print the bill of materials of the image (CycloneDX)
	@$(BIN)/python deploy/sbom.py

clean:  ## Remove what tools left; objects and databases below var/ stay
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info $(VENV)
	@find services shared simulator tests -name __pycache__ -type d -prune -exec rm -rf {} +

system-packages:
	@.ci/system-packages

$(BIN)/python:
	@.ci/make-venv $(VENV)

$(INSTALLED): $(BIN)/python requirements/runtime.txt requirements/build.txt pyproject.toml
	@echo "Installing DoseQR into $(VENV)"
	@$(PIP) install --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(INSTALLED_DEV): $(INSTALLED) requirements/dev.txt
	@echo "Installing what tests and checks need"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@
