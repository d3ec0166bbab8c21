# The commands of this project. `make` alone lists them.

MICROBLOG := .venv/bin/microblog
PYTEST_ARGS ?=
UP_ARGS ?=
FUZZ_ARGS ?=
MUTANTS_ARGS ?=
BENCH_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo up down test fuzz mutants bench bench-full lint freeze lock

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing on this machine
	@bin/setup

demo: setup ## Install, start and tour the API; leaves the stack running
	@$(MICROBLOG) up $(UP_ARGS)
	@$(MICROBLOG) demo

up: setup ## Start the stack (options: UP_ARGS="--pooled --port 8081")
	@$(MICROBLOG) up $(UP_ARGS)

down: ## Stop the stack; its data stays
	@if [ -x $(MICROBLOG) ]; then $(MICROBLOG) down; fi

test: ## Run the whole suite (options: PYTEST_ARGS="-k feed")
	@bin/setup --bench
	@.venv/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(PYTEST_ARGS)

fuzz: setup ## The fuzz and property tests, twelve times as many examples (FUZZ_ARGS="-k openapi")
	@MICROBLOG_HYPOTHESIS=deep .venv/bin/python -m pytest tests/fuzz tests/properties \
	  -o timeout=3600 $(FUZZ_ARGS)

mutants: setup ## Take each protection away and see the tests notice (MUTANTS_ARGS="-k policies")
	@.venv/bin/python -m tests.security $(MUTANTS_ARGS)

bench: ## Install what is missing, then measure within five minutes (options: BENCH_ARGS="twip --rounds 5")
	@bin/setup --bench
	@$(MICROBLOG) bench run --quick --fresh $(BENCH_ARGS)

bench-full: ## Measure everything at full scale and fill the documents, two hours
	@bin/setup --bench
	@$(MICROBLOG) bench full $(BENCH_ARGS)

lint: setup ## Check the style of the Python files
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .

freeze: ## After `sqitch tag`: record what the tagged scripts are, for the test that guards them
	@cd sql && awk '/^@/ { n = NR } { line[NR] = $$1 } \
	  END { for (i = 1; i < n; i++) if (line[i] ~ /^[a-z]/) print line[i] }' ../sqitch.plan \
	  | while read -r change; do \
	      sha256sum "$$change.sql" "revert/$$change.sql" "verify/$$change.sql"; done \
	  >../tests/schema/frozen.sha256

lock: setup ## Choose the newest Python packages anew and lock them with hashes
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check uv
	@for part in requirements requirements-dev; do \
	  .venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-header --no-annotate \
	    $$part.in -o $$part.txt; done
