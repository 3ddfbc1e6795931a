# Every command of this repository. `make help` prints them with what they do.
# All of them set up what they need: a virtual environment from the locks, and the tools that
# tests/tools pins, and Debian's packages (tests.tools). Nothing else outside this folder and the cache
# folder is touched but, while a loop is up, what tests/loop/README.md names.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The Python that makes the virtual environment; 3.11 or newer.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
RELEASE := PYTHONPATH=.github/scripts $(PY) -m release

##@ See it work
.PHONY: demo chat
demo: setup  ## Bring a cluster up on this machine, merge twice, revert once, watch the bot answer (root)
	@$(PY) -m tests.loop.scenarios.forecast
	@$(MAKE) tools-loop
	@$(PY) -m tests.loop.scenarios.demo

chat: setup  ## Talk to the running bot from this terminal
	@$(PY) -m tests.loop.people.chat

##@ The one-machine loop
.PHONY: loop-up loop-status loop-logs loop-down secret
loop-up: tools-loop  ## Start Kubernetes, Flux, registry, Git and the test servers as processes (root)
	@$(PY) -m tests.loop up

loop-status: setup  ## Show each process, every address, and what is left out
	@$(PY) -m tests.loop status

loop-logs: setup  ## List the logs, or show one: make loop-logs NAME=kubelet
	@$(PY) -m tests.loop logs $(NAME)

loop-down: setup  ## Stop the loop and remove everything it made but the last logs
	@$(PY) -m tests.loop down

secret: setup  ## Set a new version of a secret in the loop's vault: make secret NAME=openai-api-key
	@$(PY) -m tests.loop.people.secret $(NAME) $(VALUE) $(ARGS)

##@ Test
.PHONY: test check audit test-bot fuzz coverage test-release test-azure test-gitops test-loop bench faults
# A developer's loop: make test-bot K=splitter runs the tests whose names contain it, in seconds;
# K="splitter or stream" takes pytest's expressions, ARGS anything else that pytest takes.
PYTEST_ARGS = $(if $(K),"K=$(K)") $(ARGS)

test: tools  ## Run the whole test suite, with its set-up (root; what CI runs)
	@$(PY) -m tests.run all

check: tools-check  ## Run linters, type checks and offline checks (seconds); NAMES="ruff mypy" selects some
	@$(PY) -m tests.run check $(NAMES)

# The Azure CLI's own lock is not asked about: it pins its dependencies itself, and runs in tests only.
AUDIT := $(VENV)/audit
audit: setup  ## Look for known vulnerabilities in the locks (asks api.osv.dev)
	@$(VENV)/bin/uv venv -q --clear $(AUDIT)
	@VIRTUAL_ENV=$(AUDIT) $(VENV)/bin/uv pip sync -q --require-hashes tests/audit/requirements.txt
	@$(AUDIT)/bin/pip-audit -s osv --progress-spinner off --disable-pip --no-deps --require-hashes \
	  -r bot/requirements.txt -r tests/requirements.txt

test-bot: setup  ## Test the bot alone, over real sockets; K=splitter selects tests by name
	@$(PY) -m tests.run bot $(PYTEST_ARGS)

fuzz: setup  ## Fuzz a running bot with 20,000 malformed Discord payloads and 5,000 streams; SEED=7 repeats a run
	@SKY_FUZZ=20000 SKY_FUZZ_STREAMS=5000 SKY_FUZZ_SEED=$(SEED) $(PY) -m pytest -q tests/bot/integration/test_fuzz.py tests/bot/integration/test_fuzz_provider.py

coverage: setup  ## Run the bot's tests with branch coverage; fails below the floor
	@$(PY) -m tests.run coverage

test-release: tools-check  ## Test the release programs and the rollback guard
	@$(PY) -m tests.run release $(PYTEST_ARGS)

test-azure: tools  ## Test the set-up in Azure and the doctor, without Azure
	@$(PY) -m tests.run azure $(PYTEST_ARGS)

test-gitops: tools  ## Test the manifests as Flux renders them, with schemas and a real API server
	@$(PY) -m tests.run gitops $(PYTEST_ARGS)

test-loop: tools  ## Test the one-machine loop and the bot in its pod (root)
	@$(PY) -m tests.run loop $(PYTEST_ARGS)

# Cost alone needs no cluster, and so none of the Go tools.
bench: $(if $(filter-out cost,$(or $(SECTIONS),all)),tools-loop,setup)  ## Run the benchmarks and print a table (root, about an hour); SECTIONS="deploy cost" selects some
	@PYTHONPATH=.github/scripts $(PY) -m tests.loop.bench $(SECTIONS)

faults: tools-loop  ## Run the fault matrix and print a table (root, about half an hour); NAMES="node dns" selects some
	@PYTHONPATH=.github/scripts $(PY) -m tests.loop.faults $(NAMES)

##@ Operate
.PHONY: status
status: setup  ## Show leader, versions, answers, money, deploys, alerts: make status ARGS=--once (or --json)
	@$(PY) -m clusters.status $(ARGS)

##@ Release
.PHONY: releases rollback
# crane asks the registry what is there. It is built by `make tools`; without it Git alone is asked.
WITH_CRANE = eval "$$($(PY) -m tests.tools env 2>/dev/null)"; 
releases: setup  ## List what was deployed, when and by whom, what failed, and what is excluded
	@$(WITH_CRANE)$(RELEASE) releases $(ARGS)

NO_TO = TO is missing: make rollback TO=main-12-abc1234, one that `make releases` lists, or TO=--last
rollback: setup  ## Roll back: make rollback TO=main-12-abc1234 (or TO=--last); ARGS=--dry-run only shows it
	@$(if $(TO)$(filter -h --help,$(ARGS)),,$(error $(NO_TO)))$(WITH_CRANE)$(RELEASE) rollback $(TO) $(ARGS)

##@ Azure
.PHONY: azure doctor azure-teardown
azure: setup  ## Create what is missing in Azure, the cluster and on GitHub: make azure ARGS=--dry-run
	@$(PY) -m clusters.azure up $(ARGS)

doctor: setup  ## Find the first thing that keeps the bot from answering: make doctor ARGS=--json
	@$(PY) -m clusters.azure doctor $(ARGS)

azure-teardown: setup  ## Remove what `make azure` made, and nothing else
	@$(PY) -m clusters.azure teardown $(ARGS)

##@ Set up
.PHONY: setup tools tools-check tools-loop lock fmt clean help
setup: $(STAMP)  ## Create .venv from the locks
	@:

tools: setup  ## Build the pinned Go tools, or take them from TOOLS_CACHE=registry/repository; install Debian packages (root)
	@$(PY) -m tests.tools packages --install
	@$(PY) -m tests.tools build

tools-loop: setup
	@$(PY) -m tests.tools packages --install
	@$(PY) -m tests.tools build loop

tools-check: setup
	@$(PY) -m tests.tools build check

lock: setup  ## Update the lock files, with hashes, from pyproject.toml
	@$(VENV)/bin/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header pyproject.toml -o bot/requirements.txt
	@$(VENV)/bin/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --group tests -c bot/requirements.txt pyproject.toml -o tests/requirements.txt
	@$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-emit-index-url --no-header tests/azure/requirements.in -o tests/azure/requirements.txt
	@$(VENV)/bin/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-emit-index-url --no-header tests/audit/requirements.in -o tests/audit/requirements.txt

fmt: setup  ## Format, and fix what the linter can fix
	@$(VENV)/bin/ruff check --fix --quiet . ; $(VENV)/bin/ruff format --quiet .

clean: setup  ## Remove cached tools that no checkout needs any more, and Python's caches
	@$(PY) -m tests.tools clean
	@$(PY) -c 'from tests.azure import azure_cli; azure_cli.clean()'
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis

help:  ## Print this
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

$(STAMP): bot/requirements.txt tests/requirements.txt
	@$(PYTHON) tests/setup_venv.py $(VENV)
	@touch $@
