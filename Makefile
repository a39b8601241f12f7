# Every target sets up what it needs. Wanted beforehand: Python 3.11 (or 3.12, 3.10), make, a package registry.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install reproduce test lint lab app bench measure ledger clean

VENV    := .venv
BIN     := $(VENV)/bin
STAMP   := $(VENV)/.installed
RECIPE  ?= ci
RUN     ?= runs/$(RECIPE)
TESTS   ?= tests
# Which interpreter makes .venv: PYTHON=/path/to/python3.11 make install, or the first of these that fits.
PYTHONS := $(PYTHON) python3.11 python3.12 python3.10 python3 python

help: ## say what there is
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

install: $(STAMP) ## set up .venv with the pinned versions

$(STAMP): pyproject.toml constraints.txt
	@if ! $(BIN)/python -c 'import pip' 2>/dev/null; then found=; \
	  for python in $(PYTHONS); do \
	    if $$python -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null; \
	    then found=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "No Python 3.10, 3.11 or 3.12 with venv was found (tried: $(strip $(PYTHONS)))." \
	      "Install one (Debian: apt install python3.11 python3.11-venv), or name it: make install PYTHON=/path/to/python3.11" >&2; \
	    exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$($$found --version)."; \
	  $$found -m venv --clear $(VENV); \
	fi
	@echo "Installing the pinned packages into $(VENV): a few minutes the first time."
	$(BIN)/python -m pip install $$([ -t 1 ] || echo -qq) --disable-pip-version-check -c constraints.txt -e '.[all]'
	@touch $@

reproduce: $(STAMP) ## run the notebooks with RECIPE=ci into RUN=runs/ci and write report.html
	$(BIN)/python -m hierlib reproduce --recipe '$(RECIPE)' --run '$(RUN)'

test: $(STAMP) ## run the tests (TESTS=tests/test_files.py for one)
	$(BIN)/python -m pytest $(TESTS)

lint: $(STAMP) ## check style, types and that no notebook carries outputs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/nbstripout --verify --keep-id notebooks/*.ipynb

lab: $(STAMP) ## open JupyterLab on the slider
	$(BIN)/jupyter lab notebooks/03_decode.ipynb

app: $(STAMP) ## serve 03 and 06 as plain pages with Voila, on this machine only
	$(BIN)/python -m hierlib app

bench: $(STAMP) ## measure stream, coder, portability, bad streams, speed, training, harness (over an hour)
	$(BIN)/python -m pytest tests/benchmarks --timeout 900 -s

measure: $(STAMP) ## make the shipped results that are not there (hours; needs HIERLIB_DATA)
	OMP_NUM_THREADS=1 $(BIN)/python -m hierlib.evaluation.measure
	OMP_NUM_THREADS=1 $(BIN)/python -m hierlib.evaluation.confidence
	OMP_NUM_THREADS=1 $(BIN)/python -m hierlib.evaluation.traits --write

ledger: $(STAMP) ## write the tables of claims, of ours against the others, of all codecs, of both regimes, of searching encoders, of Kodak and of the ablations, from data/results into the README
	$(BIN)/python -m hierlib.evaluation.ledger --write
	$(BIN)/python -m hierlib.evaluation.against --write
	$(BIN)/python -m hierlib.evaluation.overview --write
	$(BIN)/python -m hierlib.evaluation.regimes --write
	$(BIN)/python -m hierlib.evaluation.refined --write
	$(BIN)/python -m hierlib.evaluation.kodak --write
	$(BIN)/python -m hierlib.evaluation.ablations --write

clean: ## remove .venv, caches and what was built; runs/ stays
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
