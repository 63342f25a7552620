# make test: everything that must hold; make check: the quick part of it; make demo: see vutrace at work.
# All need python3 (3.11 or later) and make, and set up the rest. As root on Debian they install
# with apt-get what is missing; elsewhere they say what is missing and do without.

PYTHON ?= python3
BIN := .venv/bin
SOURCES := $(shell find vutrace dissectors -name __pycache__ -prune -o -print)

.PHONY: test check demo captures format clean

# pytest comes last, and nothing may print after its closing line.
test: .venv/installed
	@$(PYTHON) tests/live/install.py live
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy vutrace dissectors
	@$(BIN)/pytest -n auto --dist loadgroup --no-loadscope-reorder

# What needs no live program and little time: before each commit.
check: .venv/installed
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy vutrace dissectors
	@$(BIN)/pytest -q -m "not alone and not programs" -n auto --hypothesis-profile=quick

demo: .venv/installed
	@$(BIN)/vutrace demo

# Runs the live tests and keeps what they captured: see captures/README.md.
captures: .venv/installed
	@$(PYTHON) tests/live/install.py live
	@$(BIN)/pytest tests/live --update-captures

# A regular install, as users have it: what works only in the source tree fails here.
.venv/installed: pyproject.toml README.md $(SOURCES)
	@$(PYTHON) tests/live/install.py environment
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check '.[dev]'
	@touch $@

format:
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
