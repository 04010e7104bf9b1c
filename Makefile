# make run    serve on http://127.0.0.1:8000 with demo users (PORT and DATABASE_URL win)
# make test   run all tests (ARGS go to pytest); those of foreign clients need Node and npm
# make test-postgresql   the same on a PostgreSQL of their own (Debian: apt-get install postgresql)
# make fuzz   requests made up from the OpenAPI document, a minute of them
# make pictures   take the pictures in docs/ anew (Debian: apt-get install chromium)
# make lint   ruff, mypy, import-linter
# make bench  measure it beside what bounds it (Debian: apt-get install wrk; Node.js and npm)
# make docs   write the generated parts of docs/
# make lock   pin the newest versions in constraints.txt
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
NODE_CLIENTS := $(if $(shell sh -c 'command -v npm'),tests/node/node_modules/.package-lock.json)

.DEFAULT_GOAL := run
.PHONY: run test test-postgresql fuzz pictures lint bench docs lock

run: .venv/run .env
	$(BIN)/flask db upgrade
	$(BIN)/flask users seed
	@$(BIN)/python -m keyturn.welcome
	exec $(BIN)/gunicorn wsgi:app

test: .venv/dev $(NODE_CLIENTS)
	$(BIN)/pytest $(ARGS)

test-postgresql: .venv/dev $(NODE_CLIENTS)
	$(BIN)/pytest --database postgresql $(ARGS)

fuzz: .venv/dev
	$(BIN)/pytest -n 0 --capture=no tests/fuzz/run.py

pictures: .venv/dev
	$(BIN)/pytest -n 0 tests/browser/pictures.py

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/dev .venv-run/run
	$(BIN)/python -m bench $(ARGS)

docs: .venv/dev
	$(BIN)/python -m keyturn.config > docs/configuration.md

lock: .venv/dev
	$(BIN)/pip-compile --quiet --upgrade --all-extras --strip-extras --no-emit-index-url \
		--no-emit-trusted-host --no-emit-find-links --no-header --no-annotate --output-file constraints.txt setup.cfg

.venv/bin/pip:
	$(PYTHON) -m venv .venv

.venv/run: setup.cfg pyproject.toml constraints.txt | .venv/bin/pip
	$(INSTALL) --editable .
	@touch $@

.venv/dev: setup.cfg pyproject.toml constraints.txt | .venv/bin/pip
	$(INSTALL) --editable '.[dev]'
	@touch $@ .venv/run

# What `make bench` serves from: the environment of `make run`, whatever .venv has been made to.
.venv-run/run: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-run
	$(subst .venv/,.venv-run/,$(INSTALL)) --editable .
	@touch $@

tests/node/node_modules/.package-lock.json: tests/node/package-lock.json
	npm ci --prefix tests/node --silent --no-update-notifier

# Secrets of this checkout, made once; git ignores the file.
.env:
	@umask 077; $(PYTHON) -c "import secrets; print('KEYTURN_ENV=development'); \
	[print(f'{name}={secrets.token_urlsafe(48)}') for name in ('REFRESH_SECRET', 'KEY_ENCRYPTION_SECRET')]" > .env
	@echo "Wrote random secrets to .env."
