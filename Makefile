# Everything runs in .venv, which the first command makes. Needs Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
# The address of an index with another build of torch, such as PyTorch's for machines without a GPU. Empty: pip's own.
TORCH_INDEX ?=
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test serve check format bench bench-artifact bench-method bench-api bench-intake bench-architectures fuzz-api screenshots secrets compose-test openapi lock clean

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

bench-artifact: $(READY) ## sizes, speeds and latencies of artifacts and exports; writes docs/bench-artifact.md
	$(BIN)/python -m bench.artifact

bench-method: $(READY) ## every method on four networks, within an hour; writes docs/bench-method.md
	$(BIN)/python -m bench.method.datasets
	$(BIN)/python -m bench.method

bench-api: $(READY) ## requests and bytes a second of the service beside the plain thing; writes docs/bench-api.md
	$(BIN)/python -m bench.api

bench-intake: $(READY) ## published networks, fetched, read, compressed; writes docs/bench-intake.md
	$(BIN)/python -m bench.intake

bench-architectures: $(READY) ## transformers' architectures in four ways, for two hours; writes docs/bench-architectures.md
	$(BIN)/python -m bench.architectures --compress

fuzz-api: $(READY) ## schemathesis, all checks, thousands of cases against a service with keys
	$(BIN)/python -m bench.api.fuzz --cases 60

screenshots: $(READY) ## pictures and figures of the page, by a real browser; writes docs/images/ and docs/bench-page.md
	$(BIN)/python -m bench.page

secrets: ## passwords and keys of docker-compose.yml, once; needs a shell alone
	sh docker/make-secrets.sh

# A folder with torch's wheel, for machines that reach no index with its build for processors.
TORCH_WHEELS ?=
compose-test: $(READY) ## builds the images and runs docker-compose.yml, for real; as root, on Debian
	$(BIN)/python -m bench.compose $(if $(TORCH_WHEELS),--torch-wheels $(TORCH_WHEELS))

chaos: $(READY) ## a hundred jobs while everything is killed; writes docs/reliability.md
	$(BIN)/python -m tests.chaos

openapi: $(READY) ## docs/openapi.json from the code, after a change of the contract that is meant
	$(BIN)/python -m service.openapi_file docs/openapi.json

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
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --quiet --no-deps --index-url $(TORCH_INDEX) "$$(grep ^torch== requirements.lock)")
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable '.[dev]'
	@touch $(READY)
