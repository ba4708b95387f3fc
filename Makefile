# Everything installs itself: see setup/. A second call finds the stamps and installs nothing.
PYTHON ?=
BIN := .venv/bin
RUNTIME := .venv/.runtime-installed
DEV := .venv/.dev-installed
BENCH := .venv-bench/.installed
NODE := $(BIN)/python containers/opensearch-node/node.py
NODE_PORT ?= 9200
OPENSEARCH ?= embedded
SAMPLE_URL := $(if $(filter real,$(OPENSEARCH)),--opensearch http://127.0.0.1:$(NODE_PORT))
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links $(UPGRADE)
LOCK := $(COMPILE) setup.cfg --extra local --extra build

.DEFAULT_GOAL := help
.PHONY: help sample test test-slow faults-reduce check bench lock opensearch opensearch-stop clean setup-sample setup-test setup-bench setup-node

help: ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 18

sample: setup-sample $(if $(filter real,$(OPENSEARCH)),opensearch) ## install, index the sample documents, search them (OPENSEARCH=real: on a real node)
	$(BIN)/batchjob local manifests/sample.csv --work .sample --keep $(SAMPLE_URL)
	$(BIN)/batchjob search 請求書 --work .sample $(SAMPLE_URL)
	$(BIN)/batchjob search invoice --work .sample $(SAMPLE_URL)

test: setup-test check ## install, check, then all quick tests with a coverage report
	$(BIN)/pytest -n 2 -m "not slow" --cov --cov-report=term

faults-reduce: setup-test ## the reducer behind a proxy that injects faults, 200 runs (half an hour)
	FAULT_RUNS=200 $(BIN)/pytest -m slow --timeout 1800 tests/faults/test_reduce_faults.py

test-slow: setup-test ## the tests that take minutes, then the quick ones on new random input
	$(BIN)/pytest -m slow --timeout 1800
	$(BIN)/pytest -n 2 -m "not slow" --hypothesis-profile=random

check: setup-test ## format, lint, types, import contracts
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --strict batchjob
	$(BIN)/lint-imports --no-cache

bench: setup-test setup-bench ## measure beside baselines, write docs/benchmarks.md (PAGES=FOLDER: OCR quality on your own)
	$(BIN)/python -m tests.bench --write
	$(if $(PAGES),$(BIN)/python -m tests.bench --write --pages $(PAGES) quality)

lock: setup-test ## bring the lock files in step with setup.cfg (UPGRADE=--upgrade: newest versions)
	$(LOCK) --output-file requirements.lock
	$(LOCK) --extra dev --constraint requirements.lock --output-file requirements-dev.lock
	$(COMPILE) setup/bench.in --output-file requirements-bench.lock

opensearch: setup-node ## build and start a real OpenSearch node without Docker (NODE_PORT=9200)
	@$(NODE) start --port $(NODE_PORT)

opensearch-stop: ## stop that node
	@$(NODE) stop --port $(NODE_PORT)

clean: ## remove what was built, not .venv; ends a search server kept by make sample
	@if [ -x $(BIN)/python ]; then $(BIN)/python -c "from pathlib import Path; \
		from batchjob.adapters.embedded import stop_kept; stop_kept(Path('.sample'))"; fi
	rm -rf .sample .cache build dist *.egg-info .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis

setup-sample:
	@sh setup/system.sh sample "$(PYTHON)"
	@$(MAKE) -s $(RUNTIME)

setup-test:
	@sh setup/system.sh test "$(PYTHON)"
	@$(MAKE) -s $(DEV)

setup-bench:
	-@sh setup/system.sh bench "$(PYTHON)"
	-@$(MAKE) -s $(BENCH)

setup-node:
	@sh setup/system.sh opensearch "$(PYTHON)"
	@$(MAKE) -s $(RUNTIME)

$(RUNTIME): requirements.lock setup.cfg pyproject.toml setup/venv.sh
	@sh setup/venv.sh requirements.lock "$(PYTHON)"
	@touch $@

$(DEV): requirements-dev.lock setup.cfg pyproject.toml setup/venv.sh
	@sh setup/venv.sh requirements-dev.lock "$(PYTHON)"
	@touch $(RUNTIME) $@

$(BENCH): requirements-bench.lock
	@sh setup/bench.sh requirements-bench.lock
	@touch $@
