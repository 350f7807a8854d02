# Needs python3.11 or newer and make; everything else is set up in .venv.
#   make run [PORT=8000] [DATA=.data]      everything on this machine, until Ctrl-C
#   make test | check                      the tests | everything that must be green
# COMPILED=1 with run, test, faults, soak or bench: the way of a use compiled to C, as in the image.

SUITABLE := import sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c '$(SUITABLE)' 2>/dev/null && { echo "$$python"; break; }; done)
PORT ?= 8000
DATA ?= .data
export PORT DATA

VENV := .venv
BIN := $(VENV)/bin
# Older than the lock, it is set up again.
STAMP := $(VENV)/.installed
WORKERS ?= auto
# Which tests, as pytest takes them; without it all.
TESTS ?=
# Of each fault, as many rounds; a SEED repeats their chances, ONLY=test_….py takes one file.
ROUNDS ?= 50

# What a use runs through, but for what FastAPI and pydantic read, and for api/bodies, which reads
# large bodies in a thread while others are served (docs/decisions/0017).
WAY_OF_A_USE := dates errors ids money observability access/keys access/limits access/tokens \
	api/call api/front api/lean api/problems api/protocol api/reading api/unswitched \
	cards/directory cards/domain cards/draws cards/statement cards/tables \
	charges/answer charges/codes charges/commands charges/confirming charges/domain \
	charges/drawing charges/placing charges/service charges/tables charges/using \
	db/engine db/gathering db/parameters db/rows \
	holds/standing ledger/chain ledger/chart ledger/posting ledger/rows policies/current \
	writer/answers writer/batch writer/book writer/commands writer/connection writer/engine \
	writer/jobs writer/opening writer/queue writer/requests writer/tables writer/writing
# They are compiled in a copy of app/, so that none hides a source that was edited since.
COMPILED_AT := build/compiled
COMPILING_AT := build/compiling
sources_in = $(sort $(shell cd $(1) 2>/dev/null && find app -name '*.py' -o -name '*.toml'))
SOURCES := $(call sources_in,.)
# Prints how the build will call the compiler.
C_COMPILER := import os, sysconfig as s; \
	print(os.environ.get('CC') or s.get_config_var('CC'), '-I' + s.get_path('include'))
PYTEST := $(BIN)/pytest
ifdef COMPILED
READY := $(COMPILED_AT)/.built
PYTEST += -o pythonpath=
export PYTHONPATH := $(CURDIR)/$(COMPILED_AT):$(CURDIR)
# Else `python -m` finds the working directory's first.
export PYTHONSAFEPATH := 1
endif

.DEFAULT_GOAL := help
.PHONY: help setup run demo test check format lint types imports migrations contract schema \
	schema-check bench faults soak compiled clean lock image-setup

help:
	@sed -n '1,4s/^# *//p' Makefile

setup: $(STAMP)

$(STAMP): requirements-dev.lock pyproject.toml
	@"$(PYTHON)" -c '$(SUITABLE)' || \
		{ echo "Anxin needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	@if command -v uv >/dev/null; then \
		uv venv --quiet --allow-existing --python "$$(command -v $(PYTHON))" $(VENV) && \
		VIRTUAL_ENV=$(VENV) uv pip install --quiet --require-hashes -r requirements-dev.lock && \
		VIRTUAL_ENV=$(VENV) uv pip install --quiet --no-deps --no-build-isolation --editable . ; \
	else \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check \
			--require-hashes -r requirements-dev.lock && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check \
			--no-deps --no-build-isolation --editable . ; \
	fi
	@touch $@

run: $(STAMP) $(READY)
	@exec $(BIN)/anxin run

demo: $(STAMP)
	@exec $(BIN)/anxin demo

test: $(STAMP) $(READY)
	$(PYTEST) -n $(WORKERS) $(TESTS)

check: lint types imports migrations schema-check contract test

format: $(STAMP)
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lint: $(STAMP)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/hadolint Dockerfile

types: $(STAMP)
	$(BIN)/basedpyright

imports: $(STAMP)
	$(BIN)/lint-imports --no-cache

migrations: $(STAMP)
	$(BIN)/squawk migrations/versions/*.sql

contract: $(STAMP)
	$(BIN)/python -m openapi.export --check

schema: $(STAMP)
	$(BIN)/python -m migrations.dump

schema-check: $(STAMP)
	$(BIN)/python -m migrations.dump --check

# Its options: make bench BENCH="--seconds 5 --connections 32,128,512"
bench: $(STAMP) $(READY)
	$(BIN)/python -m bench $(BENCH)

# The time limit of a test grows with what it is asked to do; what waits for ever still ends.
faults: $(STAMP) $(READY)
	FAULT_ROUNDS=$(ROUNDS) FAULT_SEED=$(SEED) $(PYTEST) -s tests/faults/$(ONLY) \
		-o faulthandler_timeout=$$((300 + 120 * $(ROUNDS)))

soak: $(STAMP) $(READY)
	PROPERTY_EXAMPLES=3000 $(PYTEST) tests/properties -o faulthandler_timeout=21600

compiled: $(COMPILED_AT)/.built

# One that was deleted, or came with an old date, is newer than nothing: the names tell.
ifneq ($(SOURCES),$(call sources_in,$(COMPILED_AT)))
.PHONY: $(COMPILED_AT)/.built
endif

$(COMPILED_AT)/.built: $(STAMP) Makefile $(SOURCES)
	@set -- $$($(BIN)/python -c "$(C_COMPILER)"); \
		echo '#include <Python.h>' | "$$@" -fsyntax-only -x c - 2>/dev/null || \
		{ echo "Compiling needs a C compiler and Python's headers (Debian: gcc, python3-dev)." >&2; exit 1; }
	@# Its date is that of the copy: what is edited while it is compiled is newer.
	@rm -rf $(COMPILING_AT) && mkdir -p $(COMPILING_AT) && touch $(COMPILING_AT)/.built
	@cp -R app $(COMPILING_AT)/ && ln -s ../../migrations $(COMPILING_AT)/migrations
	@echo "Compiling $(words $(WAY_OF_A_USE)) modules: a minute"
	@# Annotations are no types of C: amounts stay Python's integers, whatever their size.
	@cd $(COMPILING_AT) && CFLAGS="-O2 -g0 -w" "$(CURDIR)/$(BIN)/cythonize" -3 --inplace --quiet \
		-X annotation_typing=False $(WAY_OF_A_USE:%=app/%.py) && rm -rf build
	@find $(COMPILING_AT) -name '*.c' -delete
	@rm -rf $(COMPILED_AT) && mv $(COMPILING_AT) $(COMPILED_AT)

# The locks hold hashes and no addresses: any index that serves the same bytes will do.
LOCK := uv pip compile pyproject.toml --universal --generate-hashes --no-emit-index-url \
	--no-header --quiet --python-version 3.11 --group build
lock: $(STAMP)
	PATH="$(BIN):$$PATH" $(LOCK) -o requirements.lock
	PATH="$(BIN):$$PATH" $(LOCK) --group dev -c requirements.lock -o requirements-dev.lock

# What the Dockerfile runs: the same set-up without what only tests need.
image-setup:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --no-cache-dir --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --no-cache-dir --no-deps --no-build-isolation --editable .
	@# Whoever the service runs as may not write here, and would compile it anew with each command.
	$(BIN)/python -m compileall -q app migrations

# The data folder holds a ledger: deleting it is never a side effect.
clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
