# Everything a contributor runs. `make test` on a clean checkout sets up .venv and passes the tests.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PAGE_TOOLS := tests/explorer/node_modules/.installed

.PHONY: setup format lint types test test-slow test-presets test-ray test-wheel test-javascript test-browser lint-page check coverage mutation reference

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[train,tensorboard,parquet,ray,report,ui]" --group dev
	touch $@

format: $(STAMP)
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

# Writes the options of the commands and the config keys into docs/reference.
reference: $(STAMP)
	$(BIN)/python docs/generate_reference.py

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

# Every preset as it is, 200 steps of it; half an hour.
test-presets: $(STAMP)
	$(BIN)/python -m pytest -m slow tests/train/test_every_preset.py

# Encoding on a Ray cluster of this machine, with a worker, and then a node, killed on the way.
test-ray: $(STAMP)
	$(BIN)/python -m pytest -m ray

# The consumer without Python in examples/javascript; needs Node.js 20 or later.
test-javascript: $(STAMP)
	$(BIN)/python -m pytest -m javascript

# The explorer's page in a browser; needs Debian's chromium, Node.js 20 or later and npm's registry.
test-browser: $(STAMP) $(PAGE_TOOLS)
	$(BIN)/python -m pytest -m browser

# The types of the page's JavaScript, which stand in its comments.
lint-page: $(PAGE_TOOLS)
	tests/explorer/node_modules/.bin/tsc --project cli/explorer/jsconfig.json

$(PAGE_TOOLS): tests/explorer/package.json
	npm install --prefix tests/explorer --no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error
	touch $@

# The wheel alone, without the extra: inference where torch cannot be imported.
test-wheel: $(STAMP)
	rm -rf build/wheel build/lib build/bdist.*
	$(BIN)/python -m build --quiet --wheel --outdir build/wheel/dist
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip install --quiet --constraint constraints.txt build/wheel/dist/*.whl pytest pytest-timeout
	build/wheel/venv/bin/python -m pytest -m "not slow" tests/wheel tests/runtime tests/cli

# Lines and branches that the tests reach, those of processes that they start included.
coverage: $(STAMP)
	rm -rf build/coverage
	$(BIN)/python -m coverage run -m pytest -o timeout=1800
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python tests/coverage_by_package.py

# One change at a time in the modules of tests/mutation/modules.toml: do their tests notice? An hour or more.
mutation: $(STAMP)
	$(BIN)/python tests/mutation/mutate.py

check: lint lint-page types test test-ray test-javascript test-browser test-wheel
