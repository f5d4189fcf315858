# genret: the menu of commands. `make` alone prints it.
#
# The environment lives in .venv and is made on first use; it is kept for as long as constraints.txt stays the same.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
JOBS   ?=
STAMP  := $(VENV)/.installed-$(shell $(PYTHON) -c "import hashlib; print(hashlib.sha256(open('constraints.txt','rb').read()).hexdigest()[:16])")

# One thread per process and as many processes as cores: small models gain nothing from more threads, and two
# processes of several threads each get in each other's way.
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

# Is there a torch in .venv already that pyproject.toml accepts?
HAS_TORCH = from importlib.metadata import version; assert tuple(map(int, version("torch").split(".")[:2])) >= (2, 6)

.DEFAULT_GOAL := help
.PHONY: help install demo quick test test-slow test-faults test-browser bench bench-scale bench-corpus lint lab doctor clean

help:  ## show this menu
	@echo "genret: scaling laws of generative retrieval"
	@echo
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'
	@echo
	@echo "  JOBS=n limits the workers; PYTHON=python3.12 chooses the interpreter of .venv"

install: $(STAMP)  ## make .venv and install everything (on its own before the first of the others)

$(STAMP): constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "genret needs Python 3.11 or newer, and $(PYTHON) is older: try make PYTHON=python3.12" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@if $(BIN)/python -c '$(HAS_TORCH)' 2>/dev/null; then \
	  echo "Installing into $(VENV): about 0.5 GB will be fetched (the torch that is there is kept)."; \
	  grep -v '^torch==' constraints.txt > $(VENV)/constraints.txt; \
	else \
	  echo "Installing into $(VENV): about 2 GB will be fetched, most of it torch with its CUDA libraries."; \
	  echo "On a machine without a GPU a CPU build is a tenth of that: stop here (Ctrl-C), put a CPU build of"; \
	  echo "torch >= 2.6 into $(VENV) with $(BIN)/pip (pytorch.org says how), and run make again: it is kept."; \
	  cp constraints.txt $(VENV)/constraints.txt; \
	fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(VENV)/constraints.txt -e '.[dev,app,sweep]'
	@rm -f $(VENV)/.installed-* && touch $@

demo: $(STAMP)  ## the whole small study, text to report, about 5 minutes on 2 cores
	@$(BIN)/genret study demo $(if $(JOBS),--jobs $(JOBS))

quick: $(STAMP)  ## a shorter look around, under 2 minutes
	@$(BIN)/genret study quick $(if $(JOBS),--jobs $(JOBS))

test: $(STAMP)  ## lint, types and tests (every notebook included), about 7 minutes
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q --dist loadfile -n $(or $(JOBS),auto --maxprocesses=4)

test-slow: $(STAMP)  ## the tests that take minutes (scale, clusters, damage); about 45 minutes
	@$(BIN)/python -m pytest -q -m "slow"

test-faults: $(STAMP)  ## a study killed at 30 random moments, and disks, clocks and notebooks that misbehave; 30 minutes
	@$(BIN)/python tests/workbench/faults.py && $(BIN)/python tests/workbench/kills.py

test-browser: $(STAMP)  ## reports and the explorer in a real Chromium, network off
	@$(BIN)/python -m pytest -q -s -m "browser"

bench: $(STAMP)  ## benchmarks: our way against the naive way, in one run
	@$(BIN)/python -m pytest -q -s -m benchmark tests/benchmarks --benchmark-min-rounds=3 --benchmark-warmup=off

bench-scale: $(STAMP)  ## benchmark: the token index from 1 to 200 million tokens, about 10 minutes
	@$(BIN)/python tests/benchmarks/index_scale.py

bench-corpus: $(STAMP)  ## benchmark: two million passages through import, index and search, 10 minutes of processor time
	@$(BIN)/python tests/benchmarks/corpus_scale.py

lint: $(STAMP)  ## mend what ruff can mend, then check types
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format . && $(BIN)/mypy

lab: $(STAMP)  ## JupyterLab in this project
	@$(BIN)/jupyter lab --ip=127.0.0.1

doctor: $(STAMP)  ## is this machine ready?
	@$(BIN)/genret doctor

clean:  ## remove caches (never .venv or runs)
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
	@rm -rf .pytest_cache .mypy_cache .ruff_cache build *.egg-info
