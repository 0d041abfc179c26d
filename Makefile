# `make help` says what there is. Everything happens in .venv; nothing else is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# A lock is complete and holds a hash for every file; so nothing else comes in.
LOCKED := $(PIP) install --no-deps --require-hashes --requirement
OURS := $(PIP) install --no-deps --no-build-isolation --editable .
WORKERS ?= 2

.PHONY: help install install-web install-dev up demo study study-small test test-fast check fix migration lock browser wheel audit

help: ## Show what there is
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) requirements/check_machine.py web
	$(PYTHON) -m venv $(VENV)

# Installed again only when a lock or the list of packages changes.
$(VENV)/.installed: pyproject.toml requirements/all.lock requirements/torch.txt | $(BIN)/python
	@$(BIN)/python requirements/check_machine.py
	$(LOCKED) requirements/all.lock
	$(PIP) install --requirement requirements/torch.txt
	$(OURS)
	@touch $@

$(VENV)/.installed-dev: requirements/dev.lock $(VENV)/.installed
	$(LOCKED) requirements/dev.lock
	@touch $@

$(VENV)/.installed-web: pyproject.toml requirements/web.lock | $(BIN)/python
	$(LOCKED) requirements/web.lock
	$(OURS)
	@touch $@

install: $(VENV)/.installed ## Install into .venv, with what training needs

install-web: $(VENV)/.installed-web ## Install the web application and its jobs, without training

install-dev: $(VENV)/.installed-dev ## Install what tests and checks need, too

up: install ## Start everything on this machine; Ctrl-C stops it
	@exec $(BIN)/morelli up

demo: install ## Walk the whole loop in minutes and say what came out
	@exec $(BIN)/morelli demo

study-small: install ## Run the miniature study into build/study-small, of pictures one seed
	$(BIN)/python -m bench.miniature build/study-small --small

study: install ## Run the whole miniature study into build/study
	$(BIN)/python -m bench.miniature build/study

browser: install-dev
	@$(BIN)/python tests/browser/install_chromium.py

test: install-dev browser ## Run all tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

test-fast: install-dev ## Run all tests but those that drive a browser
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not browser"

check: install-dev ## Lint, types, import rules, template lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint --quiet --lint templates

fix: install-dev ## Format, and mend what can be mended by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

migration: install-dev ## Write a migration: make migration m="add a thing" (needs a running database)
	$(BIN)/alembic revision --autogenerate -m "$(m)"

UV := build/lock/bin/uv
COMPILE := $(UV) pip compile --quiet pyproject.toml requirements/build.in

$(UV):
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet uv pip-audit

lock: $(UV) ## Renew the locks from what pyproject.toml asks for
	$(COMPILE) --upgrade --extra all --extra dev --output-file requirements/dev.lock
	for cut in web train all; do \
		$(COMPILE) --upgrade --extra $$cut --constraint requirements/dev.lock --output-file requirements/$$cut.lock || exit 1; \
	done

audit: $(UV) ## Look for known holes in what is installed (asks pypi.org)
	build/lock/bin/pip-audit --disable-pip --no-deps --strict --requirement requirements/dev.lock

wheel: install-dev ## Build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
