# Everything runs in .venv, which the first command makes. Needs Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test serve check format bench bench-method lock clean

demo: $(READY) ## train a real network, send it to a service, get it back ternary
	$(BIN)/python -m examples.demo

test: $(READY) ## every test
	$(BIN)/python -m pytest

serve: $(READY) ## service and worker on this machine, data in ./data
	$(BIN)/sterna serve

check: $(READY) ## format, lint, types, import contracts; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## sizes and speeds of the codecs
	$(BIN)/python -m bench.artifact_codecs

bench-method: $(READY) ## every method on four networks, within an hour; writes docs/bench-method.md
	$(BIN)/python -m bench.method.datasets
	$(BIN)/python -m bench.method

lock: ## exact versions of a fresh environment → requirements.lock
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet torch==2.13.0 '.[dev]'
	.venv-lock/bin/python -m pip freeze --exclude sterna | sed 's/+cpu//; / @ /d' > requirements.lock
	rm -rf .venv-lock

clean:
	rm -rf .venv examples/out out

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Sterna needs Python 3.11 or newer: make PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable '.[dev]'
	@touch $(READY)
