# Two commands matter: `make run` and `make test`. Both set up what they need; both work again, also offline.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Names the Python it was made with: with another one, or a changed pyproject.toml, the environment is made anew.
STAMP := $(VENV)/.stamp-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
# Tests wait for files, databases and browsers a third of the time: half as many again as there are cores.
JOBS ?= $(shell $(PYTHON) -c 'import os; n = len(os.sched_getaffinity(0)); print(n + (n + 1) // 2)')
# Every worker and every process that a test starts reads what the first one has compiled, whatever the tester's shell
# says; a worker that is done takes over from another, so that what a module sets up is set up once or twice.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest
DEMO ?= demo
PORT ?= 8000

.DEFAULT_GOAL := help
.PHONY: help setup run test crash check lint types layers bench clean system-packages

help:
	@echo "make run     the demo city, made and checked offline in ./$(DEMO), then served on http://127.0.0.1:$(PORT)"
	@echo "make test    every check: ruff, mypy --strict, tsc, import-linter, pytest"
	@echo "make check   the quick inner loop, under a minute: lint, types, layers, all tests but the end-to-end ones"
	@echo "make crash   kill -9 of the service at random moments during 2,000 changes, on both databases"
	@echo "make bench   speed, as ratios beside openssl and py-pkpass in the same run"
	@echo "make clean   remove the virtual environment, the demo and caches"

setup: $(STAMP)

$(STAMP): pyproject.toml scripts/setup.py
	@$(PYTHON) scripts/setup.py $(VENV) $@

system-packages:
	@$(PYTHON) scripts/system_packages.py softhsm2 poppler-utils chromium chromium-headless-shell firefox-esr

run: setup
	@$(BIN)/python scripts/demo.py $(DEMO) $(PORT)

test: setup system-packages lint types layers
	@$(PYTEST) -n $(JOBS) --dist worksteal

crash: setup
	@CRASH_CHANGES=2000 $(PYTEST) tests/e2e/test_service_crash.py

check: setup lint types layers
	@$(PYTEST) -n $(JOBS) --dist worksteal -m "not slow" --ignore=tests/e2e

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: setup
	@$(BIN)/mypy
	@$(BIN)/python scripts/js_types.py

layers: setup
	@$(BIN)/lint-imports

bench: setup
	@$(BIN)/python -m bench

clean:
	rm -rf $(VENV) $(DEMO) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/node/node_modules build *.egg-info
