# The one entry. Every target makes what it needs: `make up` and `make test` work in a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= .tausql
ARGS ?=
SEEDS ?= 20
FIRST ?= 1
PREFIX ?= /usr/local

.PHONY: up down test lint types imports sim bench install clean help

help: ## What there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(BIN)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

up: $(BIN)/.installed ## Start the fleet here; ARGS="--shape separate --pg-port 5433" are passed on
	$(BIN)/tausql up --data $(DATA) $(ARGS)

down: $(BIN)/.installed ## Stop it
	$(BIN)/tausql down --data $(DATA)

test: $(BIN)/.installed ## All tests
	$(BIN)/pytest $(ARGS)

lint: $(BIN)/.installed ## ruff
	$(BIN)/ruff check .

types: $(BIN)/.installed ## mypy --strict
	$(BIN)/mypy

imports: $(BIN)/.installed ## Who may import whom
	$(BIN)/lint-imports

sim: $(BIN)/.installed ## Simulation: SEEDS=number of seeds, FIRST=the first one
	$(BIN)/python -m tausql.simulation --seeds $(SEEDS) --first $(FIRST) $(ARGS)

bench: $(BIN)/.installed ## The ordering application beside PostgreSQL with two synchronous standbys
	$(BIN)/python -m loadtest.orders.bench $(ARGS)

install: $(BIN)/.installed ## Put `tausql` on the PATH: a link in PREFIX/bin (/usr/local)
	ln -sf $(CURDIR)/$(BIN)/tausql $(PREFIX)/bin/tausql

clean: ## Remove what was made here, data too
	rm -rf $(VENV) $(DATA) build *.egg-info services/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
