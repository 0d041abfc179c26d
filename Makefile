# `make help` says what there is. Everything happens in .venv; nothing else is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
WORKERS ?= 2

.PHONY: help install install-web install-dev up demo test test-fast check fix migration lock browser

help: ## Show what there is
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Morelli needs Python 3.11 or newer; try make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Installed again only when the lock file or the list of packages changes.
$(VENV)/.installed: pyproject.toml requirements.lock | $(BIN)/python
	$(PIP) install --constraint requirements.lock torch
	$(PIP) install --constraint requirements.lock --editable '.[worker]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install --constraint requirements.lock --editable '.[worker,dev]'
	@touch $@

install: $(VENV)/.installed ## Install into .venv, with what training needs

install-web: | $(BIN)/python ## Install the web application alone, without torch
	$(PIP) install --constraint requirements.lock --editable .

install-dev: $(VENV)/.installed-dev ## Install what tests and checks need, too

up: install ## Start everything on this machine; Ctrl-C stops it
	@exec $(BIN)/morelli up

demo: install ## Walk the whole loop in minutes and say what came out
	@exec $(BIN)/morelli demo

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

lock: ## Renew the lock file from what pyproject.toml asks for
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --upgrade torch==2.13.0
	build/lock/bin/python -m pip install --quiet --upgrade '.[worker,dev]'
	echo '# Every version this project is tested with: the one lock file. Renew with `make lock`.' > requirements.lock
	build/lock/bin/python -m pip freeze | grep -v '^morelli' | sed 's/+cpu$$//' >> requirements.lock
