# Every target makes its own environment first; VENV points it elsewhere.
PYTHON ?= python3
VENV ?= $(CURDIR)/.venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest

export ANSIBLE_LOCALHOST_WARNING = False
export PATH := $(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup demo sandbox test quick lint matrix oldest conformance mutants fuzz bench kills barriers faults docs browser getting-started artifact molecule release constraints clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

# One marker file per environment: remade when the requirements it was made from change.
$(VENV)/.made: requirements.txt requirements-dev.txt constraints.txt
	$(PYTHON) tests/make_environment.py $(VENV) -r requirements.txt -r requirements-dev.txt -c constraints.txt
	@touch $@

$(VENV)/.made-lint: $(VENV)/.made requirements-lint.txt
	$(PYTHON) tests/make_environment.py $(VENV) -r requirements-lint.txt -c constraints.txt
	@touch $@

$(VENV)/.made-browser: $(VENV)/.made requirements-browser.txt
	$(PYTHON) tests/make_environment.py $(VENV) -r requirements-browser.txt -c constraints.txt
	@touch $@

CHROMIUM := /usr/bin/chromium
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo)
$(CHROMIUM):
	$(AS_ROOT) apt-get update -q
	$(AS_ROOT) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium

setup: $(VENV)/.made ## make the environment in .venv

demo: setup ## add and delete nodes on a local cloud, as a newcomer would
	$(BIN)/python -m tests.demo

sandbox: setup ## run the local cloud in the foreground; prints the exports to use it, and with ENV_FILE=… writes them there
	@$(BIN)/python -m tests.sandbox $(if $(ENV_FILE),--env-file $(ENV_FILE))

test: setup ## unit and integration tests
	$(PYTEST) -n 2 --dist loadgroup

quick: setup ## what to run between edits: unit tests
	$(PYTEST) -n 2 tests/unit -m "not slow" -q

lint: $(VENV)/.made-lint ## sanity, ansible-lint, ruff, mypy, yamllint, docs
	tests/lint

matrix: ## units, create and delete on every supported ansible-core that can be installed here; ONLY='oldest newest lowest 2.18 2.20/3.13'; SANITY=1: ansible-test sanity, too
	$(PYTHON) tests/matrix.py $(if $(SANITY),--sanity) $(ONLY)

oldest: ## the matrix's first cell
	$(PYTHON) tests/matrix.py oldest

artifact: $(VENV)/.made-lint ## build the tarball, look at what it holds, have galaxy-importer judge it, install it and run it by FQCN
	$(PYTEST) -q tests/artifact

molecule: $(VENV)/.made-lint ## a scenario for each role: create, converge, idempotence, verify, destroy; ONLY='create_node delete_node'
	$(BIN)/molecule test $(if $(ONLY),$(addprefix -s ,$(ONLY)),--all)

release: $(VENV)/.made-lint ## whether this commit can be released; builds and checks the tarball, says what to tag and upload, does neither
	.ci/release

constraints: ## renew constraints.txt: the newest releases of all that setup, lint, docs, browser, artifact and molecule install; run make test lint after it
	rm -rf build/constraints
	$(PYTHON) tests/make_environment.py build/constraints -r requirements.txt -r requirements-dev.txt -r requirements-lint.txt -r requirements-browser.txt
	{ head -n 1 constraints.txt; build/constraints/bin/python -m pip freeze | grep -vE '^ansible(-core)?=='; } > build/constraints.txt
	mv build/constraints.txt constraints.txt

conformance: setup ## Talos' own Go libraries against machine configs, the simulator and the client (needs Go)
	tests/conformance/run

mutants: setup ## disable each rule of the machine config engine in turn: the unit tests must notice
	$(BIN)/python -m tests.mutants

fuzz: setup ## 100,000 random inputs to the machine config engine: none crashes it, takes long or shows a secret
	$(BIN)/python -m tests.fuzz

bench: setup ## measure whole runs and the config engine, each figure with its limit (up to 45 minutes); QUICK=1: what CI can judge
	$(BIN)/python -m tests.bench $(if $(QUICK),--quick) $(ONLY)

kills: setup ## make and remove a cluster by runs killed after each change, renew one by runs killed at random ones (20 minutes)
	KILLS=all $(PYTEST) tests/integration/test_create_cluster.py tests/integration/test_roll.py -k killed

barriers: setup ## runs that meet right before a launch or an etcd leave, 20 times each (8 minutes)
	BARRIERS=20 $(PYTEST) tests/integration/test_lease.py -k meet

faults: setup ## crashes and faults at every call, then the same again: all must converge; QUICK=1: what CI has time for
	$(BIN)/python -m tests.faults $(if $(QUICK),--quick) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only '$(ONLY)')

docs: $(VENV)/.made-lint ## build the documentation's site into build/docs/html; any warning fails
	$(BIN)/python -m tests.docs.build

browser: $(VENV)/.made-browser $(CHROMIUM) ## look at describe_cluster's page in a headless browser, Debian's chromium, which is installed if it is missing
	$(PYTEST) -q tests/browser

getting-started: setup ## type what docs/getting-started.md says, in an empty home
	$(BIN)/python -m tests.docs.getting_started

clean: ## remove what the other targets made
	rm -rf .venv .venv-matrix build .pytest_cache .mypy_cache .ruff_cache
