# Two commands are enough to begin: `make demo` and `make test`. Everything is installed into .venv, nothing outside the repository is changed.
PYTHON ?=
ARGS ?=
WORKERS ?= 3
BENCH ?= replay_clicks search
BIN = .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test check check-types check-rest audit lock docs bench generate clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: ## Install everything, once; again only when pyproject.toml, constraints.txt or requirements.lock change
	@PYTHON="$(PYTHON)" .ci/setup

demo: setup ## The whole loop on this machine: Kafka, Milvus, four processes, a simulated shop
	@$(BIN)/searchloop demo $(ARGS)

test: setup ## All tests, WORKERS=3 files at a time; ARGS='-m "not broker and not model and not slow"' for the quick ones
	@OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=40 --durations-min=3 $(ARGS)

check: setup ## Format, lint, types, architecture, licences, generated files, pages: under a minute
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(MAKE) --no-print-directory -j 2 check-types check-rest
check-types: # the longest of them, on a core of its own
	@$(BIN)/mypy
check-rest:
	@$(BIN)/python -m pytest tests/test_architecture.py tests/test_kept_files.py tests/test_packaging.py tests/test_dependencies.py tests/test_licences.py tests/test_compose.py -m "not broker"
	@$(BIN)/python -m schemas.publish --check
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

audit: ## Known vulnerabilities of what constraints.txt names, asked over the network; ARGS='--ignore-vuln ID'
	@PYTHON="$(PYTHON)" .ci/audit $(ARGS)

lock: ## Write requirements.lock, by whose hashes setup installs from then on; asks the index, some minutes
	@.ci/lock

docs: setup ## The pages of docs/ as a site in build/site; strict, so a dead link fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

bench: setup ## The benchmarks named by BENCH='replay_clicks'; each ends with one JSON line
	@set -e; for name in $(BENCH); do echo "== $$name" >&2; $(BIN)/python -m benchmarks.$$name $(ARGS); done

generate: setup ## Write schemas/json, schemas/asyncapi.yaml and docs/configuration.md again
	@$(BIN)/python -m schemas.publish

clean: ## Remove the environment, the caches and the data of the one-machine mode
	rm -rf .venv .searchloop .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
