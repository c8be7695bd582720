# Every target sets up what it needs: a virtual environment in .venv with the versions of requirements.lock.
# Another Python: make PYTHON=python3.12 test. Another folder: make VENV=/tmp/comity test.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
JOBS ?= 2
BIN = $(VENV)/bin
CORE = $(VENV)/.comity-core
READY = $(VENV)/.comity-ready

SITE = .venv-site

.PHONY: help demo test lint style types pytest format queue site lock clean

help:
	@echo "make demo    trains on Manitokan for about 4 minutes; curves, film and table go to comity-demo/"
	@echo "make test    everything that must hold: ruff, pyright, pytest"
	@echo "make lint    ruff and pyright only"
	@echo "make format  lets ruff rewrite the files"
	@echo "make queue   trains what figures still wait for (studies/queue.md), at lowest priority on one core"
	@echo "make site    builds the docs as a site in build/site; broken links are errors"
	@echo "make lock    resolves requirements.lock anew (needs uv)"
	@echo "make clean   removes $(VENV) and caches"

# Of the locked versions the demo needs only what the package itself does: no tests, no Node for the type checker.
demo: $(CORE)
	$(BIN)/comity demo

# Types, which one core checks, beside the tests.
test: style
	$(MAKE) --no-print-directory -j 2 types pytest

lint: style types

style: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/pyright --pythonpath $(BIN)/python

pytest: $(READY)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --durations=40

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

queue: $(READY)
	$(BIN)/python -m studies.train_queue $(QUEUE)

# With an environment of its own, so that nobody else has to install what builds it.
site: $(SITE)/.ready
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --strict --quiet
	@echo "build/site/index.html: serve it by $(SITE)/bin/mkdocs serve"

$(SITE)/.ready: docs/site/requirements.txt
	test -x $(SITE)/bin/python || $(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python -m pip install --quiet --disable-pip-version-check --requirement docs/site/requirements.txt
	@touch $@

lock:
	uv pip compile --universal --python-version 3.11 --extra dev --no-emit-index-url --no-header --no-annotate \
		--upgrade --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) $(SITE) .pytest_cache .ruff_cache .hypothesis build dist

# Both are made anew only when one of these two files has changed.
$(CORE): pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "comity needs Python 3.11 or newer: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint requirements.lock --editable .
	@touch $@

$(READY): $(CORE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
