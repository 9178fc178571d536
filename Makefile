# Needs python3 (3.11 or newer, with venv), make and git; everything else goes into .venv.
#   make demo ARGS=--json          pass options on to the command behind a target
#   make PYTHON=python3.12         choose the interpreter
#   make test TEST_WORKERS=0       one test after the other, in one process
#   make TORCH_PIP_ARGS="--index-url URL"   take PyTorch from another index, for instance its CPU-only one

PYTHON ?= python3
ARGS ?=
TEST_WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 1); echo $$((n > 4 ? 4 : n)))
TORCH_PIP_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python infra/pip_in_a_line.py
STAMP := $(VENV)/.eucentric-installed
TORCH := $(shell sed -n '/^torch==/p' constraints.txt)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test check format bench gallery screenshots docs clean

# Bytecode is wanted: the servers import thousands of modules at every start.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '%-14s %s\n' "$$name" "$$text"; done

install: $(STAMP) ## Create .venv with everything in it (the other targets do so by themselves)

demo: $(STAMP) ## Close the loop on this machine: drift, retrain, sign, hot-swap, recover
	@$(BIN)/eucentric demo $(ARGS)

# File after file as they lie in their folders, so that the servers of a folder end with its last file.
# Some hold what happens against a clock, and run after the others. Status 5: ARGS left none of that kind.
# Where ARGS say nothing, only their files are read: reading all of them takes a quarter of a minute.
test: ALONE = $(if $(ARGS),,$(shell grep -rl --include='test_*.py' 'pytest\.mark\.alone' tests | sort))
test: $(STAMP) ## Run all tests, with real servers on free ports
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder -m "not alone" $(ARGS) || [ $$? -eq 5 ]
	@$(BIN)/python -m pytest -m alone $(ALONE) $(ARGS) || [ $$? -eq 5 ]

check: $(STAMP) ## Check format, lint, types and who imports whom
	@echo '==> ruff format' && $(BIN)/ruff format --check .
	@echo '==> ruff check' && $(BIN)/ruff check .
	@echo '==> mypy' && $(BIN)/mypy
	@echo '==> import-linter' && $(BIN)/lint-imports

format: $(STAMP) ## Put the code into its format and mend what can be mended safely
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(STAMP) ## Run every benchmark and print one JSON object
	@$(BIN)/python benchmarks/run_all.py $(ARGS)

gallery: $(STAMP) ## Draw what the shipped model finds in the images of $$EUCENTRIC_SHARED into gallery/
	@$(BIN)/python benchmarks/gallery.py $(ARGS)

screenshots: $(STAMP) ## Take the pictures of the dashboard that the documentation shows, in a real browser
	@EUCENTRIC_SCREENSHOTS=$(CURDIR)/docs/screenshots $(BIN)/python -m pytest -q tests/dashboard -k 'browser or story' --nightly $(ARGS)

docs: $(STAMP) ## Build the documentation as a site into build/site
	@$(BIN)/mkdocs build --quiet $(ARGS)
	@echo 'open build/site/index.html, or: $(BIN)/python -m http.server --directory build/site --bind 127.0.0.1'

clean: ## Remove .venv and everything else that was made here
	rm -rf -- $(VENV) build dist benchmarks/results .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf -- {} +

# What is said here goes to the error stream, so that `make demo ARGS=--json` prints its JSON object alone.
# PyTorch comes first and alone: asked for together with the rest, pip weighs builds with gigabytes of CUDA against it.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'Eucentric needs Python 3.11 or newer and found "$(PYTHON)" too old or missing: name one with make PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo 'This Python cannot make virtual environments: install the venv package (on Debian: apt install python3-venv)' >&2; exit 1; }
	@echo '==> 1/3 virtual environment in $(VENV)' >&2
	@$(PYTHON) -m venv $(VENV) >&2
	@echo '==> 2/3 $(TORCH) and the build tools (the largest download)' >&2
	@$(PIP) install --compile -c constraints.txt $(TORCH_PIP_ARGS) $(TORCH)
	@$(PIP) install --compile -c constraints.txt hatchling editables
	@echo '==> 3/3 everything else (a few minutes)' >&2
	@$(PIP) install --compile --no-build-isolation -c constraints.txt -e '.[dev]'
	@touch $@
	@echo '==> installed; what pip said is in $(VENV)/pip.log' >&2
