# The project's tasks, one line each: `make` lists them. Everything is installed into .venv and nowhere else.

PYTHON ?= python3
VENV := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help install run test chaos coverage lint bench train evaluate screenshots clean
.DELETE_ON_ERROR:

help:  ## list these tasks
	@grep -E '^[a-z]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

# A stamp stands for what is installed; it is older than the requirements when they have changed. An environment that was
# cut off half made, or whose Python is gone, is made again.
.venv/.runs: requirements.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Babelia needs Python 3.11 or newer, and $(PYTHON) is %s. Say which one to use: make PYTHON=python3.12" % sys.version.split()[0])'
	@$(VENV)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv \
		|| { echo "Python could not make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing what the library needs into .venv (once; some minutes where nothing is cached) ..."
	@$(VENV)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/.tests: requirements-dev.txt .venv/.runs
	@echo "Installing what tests and lint need into .venv ..."
	@$(VENV)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

install: .venv/.tests  ## make .venv with everything that running, testing and training need

run: .venv/.runs  ## open the library in a browser's reach; Ctrl-C closes it
	@exec $(VENV)/python manage.py library

# Most tests wait for processes that load torch, so that two cores have room for three of them. A file stays with one of
# the three, for its fixtures, and the longest begin first (tests/conftest.py). What has to see a page grow runs after
# them, by itself.
TOGETHER := -n 3 --dist loadfile --no-loadscope-reorder -m "not alone"

# Hundreds of processes begin; where this is set, each of them would compile the whole library anew.
unexport PYTHONDONTWRITEBYTECODE

# A test that fails beside others is run once more by itself, and the run fails where it fails again. What it printed the
# first time stays to be read: mostly it raced something, which is to be mended too.
AGAIN := { [ $$? -eq 1 ] && echo "Once more, what has failed:" && $(VENV)/python -m pytest --last-failed; }

test: .venv/.tests  ## run all tests
	@$(VENV)/python -m pytest $(TOGETHER) || $(AGAIN)
	@$(VENV)/python -m pytest -m alone || $(AGAIN)

chaos: .venv/.tests  ## kill, starve and lie to a library for a quarter of an hour; then 10,000 damaged keys and hostile requests
	@$(VENV)/python -m bench.chaos
	@FLIPS=300 FUZZ_CASES=10000 FUZZ_SECONDS=3600 FUZZ_EXAMPLES=100 $(VENV)/python -m pytest -q \
		tests/gallery/test_fuzz.py tests/gallery/api/test_openapi.py tests/outside/test_hostile_headers.py \
		tests/babelia/processes/test_valkey.py

coverage: .venv/.tests  ## run all tests and name the lines of babelia, gallery and worker that none of them runs
	@$(VENV)/python -m pytest --cov --cov-report= $(TOGETHER)
	@$(VENV)/python -m pytest --cov --cov-append --cov-report=term-missing:skip-covered -m alone

lint: .venv/.tests  ## check format, style and types
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy

# OpenVINO is a peer, scikit-image brings photographs, and nothing else of ours needs them: where they cannot be had, the
# bench says so and goes on without them.
.venv/.bench: requirements-bench.txt .venv/.runs
	@echo "Installing what the bench compares with into .venv ..."
	@$(VENV)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-bench.txt \
		&& touch $@ || echo "What the bench compares with could not be installed; it goes on without." >&2

bench: .venv/.bench  ## measure the figures that the README states
	@$(VENV)/python -m bench

train: .venv/.tests  ## run the next stage of the training of pocket-1 that is due
	@$(VENV)/python -m training next

evaluate: .venv/.tests  ## measure how well pocket-1 draws what it is told
	@$(VENV)/python -m training.judging.evaluate

screenshots: .venv/.tests  ## take the pictures of the site that README and docs show
	@$(VENV)/python docs/screenshots.py

clean:  ## remove .venv and caches; data and weights stay
	rm -rf .venv .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
