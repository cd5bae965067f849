# Each goal does all of its set-up: a machine with Python (3.11 or newer) and git is enough.
PYTHON ?= python3
SCENARIO ?= crash-loop
# Six at a time on any machine: most tests wait for a cluster, not for a processor.
PYTEST_ARGS ?= -n 6
LOCK := $(shell cat uv.lock pyproject.toml | git hash-object --stdin)
READY := .venv/ready-$(LOCK)
BIN := .venv/bin

.PHONY: drill test check lab bench lock format clean

drill: $(READY)  ## A bad release on a training cluster, rolled back: SCENARIO=crash-loop
	$(BIN)/veza-nb drill $(SCENARIO)

test: check  ## All checks, then all tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(READY)  ## Style, types, layers, notebooks without outputs, lock in step
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/nbstripout --verify --keep-id notebooks/*.ipynb
	$(BIN)/uv lock --check --quiet

lab: $(READY)  ## JupyterLab on 00-start
	$(BIN)/veza-nb lab

bench: $(READY)  ## Speeds and sizes beside what they are compared with; writes bench.json
	$(BIN)/python -m tests.bench

lock: $(READY)  ## Pin the dependencies anew
	$(BIN)/uv lock
	$(BIN)/uv export --quiet --no-dev --no-emit-project --no-hashes --no-header --no-annotate \
		--output-file requirements.txt

format: $(READY)  ## Bring the code into its one form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Forget the environment; records stay
	rm -rf .venv bench.json

# The environment is made once per lock; compiled ahead, since a rollback must not wait for it.
$(READY):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "veza-nb needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	test -x $(BIN)/uv || { rm -rf .venv && $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet 'uv>=0.8'; }
	$(BIN)/uv sync --locked --quiet --compile-bytecode
	rm -f .venv/ready-* && touch $@
