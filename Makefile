# `make` lists what there is. Everything happens in .venv (made on first use) and .local (state of the stack).
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup run up down status demo test check lint format types layers coverage bench tools lock clean

PYTHON := .venv/bin/python
# What is typed strictly; a folder that is not there yet is no error.
TYPED := $(wildcard trading activities workflows execution storage cache brokers simulator listener api runtime local playground bench worker.py)
# Two workers: the servers they share need the rest. ARGS adds options: make test ARGS="-k postgres".
WORKERS_OF_TESTS ?= 2
ARGS ?=
LOCK = UV_NATIVE_TLS=true $(PYTHON) -m uv pip compile --quiet --generate-hashes --no-emit-index-url --universal --python-version 3.11
heading = @printf '\033[1m%s\033[0m\n' '$(1)'

help: ## this list
	@printf 'Usage: make \033[1mTARGET\033[0m\n\n'
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  \033[36m%-10s\033[0m %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## make .venv from the hash-pinned lock (once; later a moment)
	@sh local/setup.sh

tools: setup ## get Temporal's programs: found, downloaded, or built once
	@$(PYTHON) -m local tools

run: setup ## start everything, show one trade from buy to stop-loss, stay up; Ctrl-C stops all
	@$(PYTHON) -m local up $(ARGS)

up: setup ## the same in the background
	@$(PYTHON) -m local up --detach $(ARGS)

down: setup ## stop what `make up` started; state is kept
	@$(PYTHON) -m local down

status: setup ## what runs, since when, where
	@$(PYTHON) -m local status

demo: setup ## show one trade on the running stack
	@$(PYTHON) -m local demo

test: check tools ## everything a fresh machine can prove: lint, types, layers, all tests
	$(call heading,tests)
	@$(PYTHON) -m pytest -n $(WORKERS_OF_TESTS) --dist worksteal $(ARGS) || $(PYTHON) -m tests.again $$?

check: lint types layers ## lint, types, layers

lint: setup
	$(call heading,lint)
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .

format: setup ## let ruff mend what it can
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

types: setup
	$(call heading,types)
	@$(PYTHON) -m mypy $(TYPED)

layers: setup
	$(call heading,layers)
	@if grep -q '^\[tool.importlinter\]' pyproject.toml; then .venv/bin/lint-imports; else echo 'no contracts in pyproject.toml yet'; fi

coverage: setup tools ## which lines the tests reach, as text and in htmlcov/
	@$(PYTHON) -m pytest -n $(WORKERS_OF_TESTS) --cov --cov-report=term-missing:skip-covered --cov-report=html $(ARGS)

bench: setup tools ## the measurements of docs/performance.md; one of them: make bench ONLY=stops N=1000
	@$(PYTHON) -m bench $(if $(ONLY),--only $(ONLY)) $(if $(N),--count $(N)) $(ARGS)

lock: setup ## pin the newest versions pyproject.toml allows, with hashes (requirements*.lock)
	@$(LOCK) --upgrade --group dev --group local pyproject.toml -o requirements.lock
	@$(LOCK) -c requirements.lock pyproject.toml -o requirements-runtime.lock

clean: ## stop the stack and forget its state (.local); .venv and the caches stay
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m local down --quiet; fi
	@rm -rf .local .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage htmlcov
	@find . -name __pycache__ -type d -not -path './.venv/*' -not -path '*/node_modules/*' -prune -exec rm -rf {} +
