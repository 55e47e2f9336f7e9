# Commands for contributors. `make test` in a new checkout sets up .venv and runs the tests.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PAGE_TOOLS := tests/explorer/node_modules/.installed

.PHONY: setup wheel format lint types test test-slow test-presets test-ray test-wheel test-lowest test-loggers test-renderings test-javascript test-browser lint-page check coverage mutation reference docs systems

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[train,tensorboard,parquet,ray,report,ui]" --group dev
	touch $@

format: $(STAMP)
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

# Generated parts of docs/reference: options of the commands, config keys.
reference: $(STAMP)
	$(BIN)/python docs/generate_reference.py

# The documentation site, build/site/index.html. Warnings are errors: dead links, pages that no list names, docstrings
# that are not valid, notebooks that do not run. `make test` needs none of these packages.
docs: $(VENV)/.docs
	$(BIN)/python -m sphinx --quiet --fresh-env --fail-on-warning -c docs . build/site
	cp build/site/README.html build/site/index.html

$(VENV)/.docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group docs
	touch $@

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=typings $(BIN)/lint-imports --no-logo

types: $(STAMP)
	$(BIN)/mypy

# The default tests, in two processes of one thread each; no network once .venv is set up. In the order of the files:
# by default files of few tests come last, and with them the one that takes longest, while one process has nothing to do.
test: $(STAMP)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# Whole trainings and soak tests; minutes each.
test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

# 200 steps of every preset; half an hour.
test-presets: $(STAMP)
	$(BIN)/python -m pytest -m slow tests/train/config/test_every_preset.py

# Encoding on a local Ray cluster, while a worker and then a node are killed.
test-ray: $(STAMP)
	$(BIN)/python -m pytest -m ray

# The loggers of examples/loggers with the real packages, without a network. These cap the versions of other packages:
# they are installed into an environment of their own, which has those of .venv besides.
test-loggers: build/loggers/.installed
	build/loggers/bin/python -m pytest -m loggers tests/loggers

build/loggers/.installed: $(STAMP) constraints-loggers.txt
	$(PYTHON) -m venv --without-pip --clear build/loggers
	$(BIN)/python -c "import site; print(f'import site; site.addsitedir({site.getsitepackages()[0]!r})')" \
		> "$$(build/loggers/bin/python -c 'import site; print(site.getsitepackages()[0])')/venv.pth"
	build/loggers/bin/python -m pip install --quiet --constraint constraints-loggers.txt --group loggers
	touch $@

# The renderer of examples/renderings, on models that the tests make; needs OpenGL (Debian: libegl1, libgl1-mesa-dri).
test-renderings: $(VENV)/.renderings
	$(BIN)/python -m pytest -m renderings tests/renderings

$(VENV)/.renderings: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group renderings
	touch $@

# The JavaScript example in examples/javascript; needs Node.js 20 or later and npm.
test-javascript: $(STAMP)
	$(BIN)/python -m pytest -m javascript

# The explorer's page in a browser; needs Debian's chromium, Node.js 20 or later and npm.
test-browser: $(STAMP) $(PAGE_TOOLS)
	$(BIN)/python -m pytest -m browser

# Types of the explorer's JavaScript, which are declared in comments.
lint-page: $(PAGE_TOOLS)
	tests/explorer/node_modules/.bin/tsc --project cli/explorer/jsconfig.json

$(PAGE_TOOLS): tests/explorer/package.json
	npm install --prefix tests/explorer --no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error
	touch $@

wheel: $(STAMP)
	rm -rf build/wheel build/lib build/bdist.*
	$(BIN)/python -m build --quiet --wheel --outdir build/wheel/dist

# The wheel without extras: inference in an environment without torch.
test-wheel: wheel
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip install --quiet --constraint constraints.txt build/wheel/dist/*.whl pytest pytest-timeout
	build/wheel/venv/bin/python -m pytest -m "not slow" tests/wheel tests/runtime tests/cli

# The same with the lowest versions of the dependencies, and with onnxruntime in place of onnxruntime-gpu.
test-lowest: wheel
	$(PYTHON) -m venv build/wheel/lowest
	build/wheel/lowest/bin/python -m pip install --quiet --requirement requirements-cpu.txt --constraint constraints-lowest.txt
	build/wheel/lowest/bin/python -m pip install --quiet pytest pytest-timeout
	build/wheel/lowest/bin/python -m pip install --quiet --no-deps build/wheel/dist/*.whl
	build/wheel/lowest/bin/python -m pytest -m "not slow" tests/wheel tests/runtime tests/cli tests/hostile/test_hostile_images.py

# Lines and branches that the default tests reach, including those of the processes that they start.
coverage: $(STAMP)
	rm -rf build/coverage
	$(BIN)/python -m coverage run -m pytest -o timeout=1800
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python tests/coverage_by_package.py

# Mutation tests of the modules in tests/mutation/modules.toml; an hour or more.
mutation: $(STAMP)
	$(BIN)/python tests/mutation/mutate.py

# The systems of docs/results/systems.md, as long as stated there, into build/systems; continues what was stopped.
systems: $(STAMP)
	$(BIN)/python benchmarks/systems.py --out build/systems

check: lint lint-page types docs test test-ray test-loggers test-renderings test-javascript test-browser test-wheel
