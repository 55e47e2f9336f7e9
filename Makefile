# Everything a contributor runs. `make test` on a clean checkout sets up .venv and passes the tests.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup format lint types test test-slow test-wheel check

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[train,tensorboard]" --group dev
	touch $@

format: $(STAMP)
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=typings $(BIN)/lint-imports --no-logo

types: $(STAMP)
	$(BIN)/mypy

# Under ten minutes on two cores; needs no network once set up.
test: $(STAMP)
	$(BIN)/python -m pytest

# Whole trainings; minutes each.
test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

# The wheel alone, without the extra: inference where torch cannot be imported.
test-wheel: $(STAMP)
	rm -rf build/wheel
	$(BIN)/python -m build --quiet --wheel --outdir build/wheel/dist
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip install --quiet --constraint constraints.txt build/wheel/dist/*.whl pytest pytest-timeout
	build/wheel/venv/bin/python -m pytest -m "not slow" tests/wheel tests/runtime tests/cli

check: lint types test test-wheel
