PYTHON ?= python3
BIN := .venv/bin
# Strict: a page that is in no menu, or a link that leads nowhere, is an error.
SITE := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

.PHONY: demo gallery bench pictures test test-nights torture test-cluster lint types docs lock wheel test-wheel clean help

help: ## print this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: build/demo/inputs/demo.csv ## stylize the demo's pictures into build/demo
	@$(BIN)/nst-batch run manifests/demo.csv --output build/demo --cache build/cache

gallery: .venv/installed ## make the pictures at the top of README.md once more
	$(BIN)/python tools/draw_gallery.py docs/pictures

bench: .venv/installed ## measure time and memory beside PyTorch, into docs/benchmarks.md: 20 minutes
	$(BIN)/python -m benchmarks.bench $(if $(SECONDS),--seconds $(SECONDS)) $(if $(ONLY),--only $(ONLY))

pictures: .venv/installed ## render fixed pairs with PRESETS, as sheets with scores: half an hour at most
	$(BIN)/python -m benchmarks.pictures --seconds $(or $(SECONDS),1800) \
		$(if $(PRESETS),--presets $(PRESETS)) $(if $(SIDE),--side $(SIDE)) $(if $(SET),--set "$(SET)")

test: .venv/installed ## all tests except the next three
	$(BIN)/python -m pytest --numprocesses 2 --dist loadscope --no-loadscope-reorder

test-nights: .venv/installed ## nightly runs by a worker, servers that die, and all else that takes minutes
	$(BIN)/python -m pytest -m "nights and not torture" --numprocesses 2 --dist loadscope --no-loadscope-reorder

torture: .venv/installed ## the nights, with a power failure and a fault at every moment: hours
	$(BIN)/python -m pytest -m "nights or torture" --numprocesses 2 --dist loadscope --no-loadscope-reorder

test-cluster: .venv/installed ## tests on Ray and Dask clusters, which they start
	$(BIN)/python -m pytest -m cluster tests/cluster

lint: .venv/installed ## ruff: errors and format; import-linter: what may import what; the links of the site
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(SITE)

types: .venv/installed ## mypy, strict, for every system
	$(BIN)/mypy
	$(BIN)/mypy --platform darwin
	$(BIN)/mypy --platform win32

docs: .venv/installed ## write the tables of docs/options.md, and build the site: build/site/index.html
	$(BIN)/python tools/write_options.py docs/options.md
	$(SITE)

# The wheel is built from the sdist, in a folder of its own, so no file of an earlier build is in it.
wheel: .venv/installed ## build dist/nst_batch-*.tar.gz and dist/nst_batch-*.whl, without network
	rm -rf dist nst_batch.egg-info/SOURCES.txt
	$(BIN)/python -c 'from setuptools.build_meta import build_sdist; build_sdist("dist")' > /dev/null
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir dist dist/nst_batch-*.tar.gz
	@ls dist

test-wheel: wheel ## install the wheel in a new environment, and use it in an empty folder
	rm -rf build/wheel && mkdir -p build/wheel/empty
	$(PYTHON) -m venv build/wheel/.venv
	build/wheel/.venv/bin/python -m pip install --quiet dist/nst_batch-*.whl
	cd build/wheel/empty && set -e; nst() { ../.venv/bin/nst-batch "$$@"; }; \
		nst --help > /dev/null; nst doctor; nst demo inputs; nst check inputs/demo.csv; \
		nst run inputs/demo.csv --output results --size 64 --steps 5 --octaves 1 --limit 2; \
		ls -l results/pictures

lock: .venv/installed ## update the exact versions, within the ranges of pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --group dev --extra dask --extra heic --extra ray --extra xlsx --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --upgrade --quiet --output-file requirements.lock
	@mkdir -p build
	$(BIN)/uv pip compile pyproject.toml --extra gpu --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --constraint requirements.lock --upgrade \
		--quiet --output-file build/gpu.lock
	sed -n '/^nvidia-/,/[^\\]$$/p' build/gpu.lock > deploy/requirements-gpu.lock

# Exact versions with hashes, so that what worked yesterday works tonight.
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("nst-batch needs Python 3.11 or newer; this is " + sys.version.split()[0] + " (make PYTHON=python3.11 ...)")'
	@echo 'installing the environment into .venv, 3.5 GB: this takes one to ten minutes ...'
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

build/demo/inputs/demo.csv: .venv/installed
	@$(BIN)/nst-batch demo build/demo/inputs > /dev/null

clean: ## remove the environment and everything built
	rm -rf .venv build *.egg-info
