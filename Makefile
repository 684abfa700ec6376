# `make demo` and `make test` are all that a fresh clone needs; each sets up .venv when it has to.
# Choose an interpreter with `make demo PYTHON=python3.12`, a camera or file with `make live SOURCE=1`.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
PY := $(VENV)/bin/python
RUNTIME := $(VENV)/.runtime-installed
WEB := $(VENV)/.web-installed
ALL := $(VENV)/.all-installed
RAY := $(VENV)/.ray-installed
DOCS := $(VENV)/.docs-installed
MUTATION := $(VENV)/.mutation-installed
# pip-audit brings a pip of its own, so it gets its own environment.
AUDIT := build/audit
# The sources of the static site, and the mark of its installed packages.
BROWSER := web/browser
NODE := $(BROWSER)/node_modules/.installed
# The package as a wheel has it, in links: mypy and mkdocstrings do not follow the mapping in pyproject.toml.
TYPES := build/types/moodspace
SOURCE ?= 0
DATA ?= data/fer2013
PYTEST_ARGS ?= -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

# The first of these that is Python 3.11 to 3.13 makes .venv, unless PYTHON names one.
PYTHON ?=
CANDIDATES := python3 python3.13 python3.12 python3.11 python

# $(call install,FILE): makes .venv if it is missing and installs FILE into it. The mark .unfinished stands from the
# first step to the last, so that a set-up that was interrupted begins anew instead of trusting half a package.
define install
@set -euo pipefail; \
if [ -e $(VENV)/.unfinished ]; then echo "set-up was interrupted before: starting again" >&2; rm -rf $(VENV); fi; \
chosen=""; \
if [ ! -x $(PY) ]; then \
  for candidate in $(or $(PYTHON),$(CANDIDATES)); do \
    if "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; \
    then chosen="$$candidate"; break; fi; \
  done; \
  if [ -z "$$chosen" ]; then \
    echo "expected Python 3.11, 3.12 or 3.13, found $$($(or $(PYTHON),python3) --version 2>&1 | head -n 1 | sed "s|.*: line [0-9]*: ||");" \
         "name one: make PYTHON=/path/to/python3.12" >&2; exit 1; fi; \
fi; \
mkdir -p $(VENV); touch $(VENV)/.unfinished; \
if command -v uv >/dev/null 2>&1; then \
  [ -z "$$chosen" ] || "$$chosen" -m venv --without-pip $(VENV); \
  uv pip install --compile-bytecode --python $(PY) --require-hashes -r $(1); \
else \
  [ -z "$$chosen" ] || "$$chosen" -m venv $(VENV); \
  $(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip --upgrade; \
  $(PY) -m pip install --disable-pip-version-check --require-hashes -r $(1); \
fi; \
rm -f $(VENV)/.unfinished
endef

define lay-links
@mkdir -p $(TYPES) && for folder in bundles embeddings index classifier realtime viz web; do \
  ln -sfn ../../../$$folder $(TYPES)/$$folder; done; \
for file in moodspace/*; do ln -sfn ../../../$$file $(TYPES)/$$(basename $$file); done
endef

.PHONY: help demo live web site test check pages docs bench peers audit mutation ray clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(RUNTIME) ## find the face in a picture, say what it shows and why, and write demo/
	$(PY) cli.py demo --out demo

web: $(WEB) ## the web app on this machine
	$(PY) cli.py web --open

site: $(RUNTIME) $(NODE) ## the static site of the shipped bundle in build/site; needs Node.js 20 or newer
	cd $(BROWSER) && npm run --silent build
	$(PY) cli.py web --static build/site

live: $(RUNTIME) ## the webcam, or SOURCE=FILE; q leaves
	$(PY) cli.py live --source "$(SOURCE)"

test: $(ALL) ## the tests
	$(PY) -m pytest $(PYTEST_ARGS)

check: $(ALL) ## lint, format and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(lay-links)
	$(PY) -m mypy
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory pages; \
	  else echo "no npm: the pages of the static site are not checked" >&2; fi

pages: $(NODE) ## type check, lint and unit tests of the static site's pages; needs Node.js 20 or newer
	cd $(BROWSER) && npm run --silent check && npm run --silent lint && npm test --silent

docs: $(DOCS) ## the documentation as a site in site/; warnings are errors
	$(lay-links)
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --clean --quiet
	@echo "wrote site/index.html"

bench: $(ALL) ## accuracy, calibration and the cost of the crop on DATA=FOLDER|fer2013.csv|FILE.parquet
	@test -e "$(DATA)" || { echo "expected labelled faces at $(DATA), found nothing;" \
	  "name them: make bench DATA=FILE.parquet" >&2; exit 1; }
	$(PY) cli.py evaluate "$(DATA)" --json
	$(PY) -m benchmarks crop_geometry "$(DATA)" --bundle bundles/fer2013

peers: $(ALL) ## other packages beside Moodspace on DATA="SET.parquet..." and CLIP="VIDEO..."; writes docs/peers.md
	$(PY) -m benchmarks peers $(DATA) $(foreach clip,$(CLIP),--clip "$(clip)") \
	  $(if $(ENVIRONMENTS),--environments "$(ENVIRONMENTS)") --publish

audit: $(AUDIT)/.installed ## look up the pinned requirements in the lists of known vulnerabilities; needs network
	$(AUDIT)/bin/python .ci/audit.py

mutation: $(MUTATION) ## how many changes of classifier/ and index/ the tests notice; takes long; ends after MINUTES=8
	$(PY) -m benchmarks mutation classifier index $(if $(MINUTES),--minutes $(MINUTES))

faults: $(ALL) ## kill, damage, fill, disturb and crowd it, and count what survives; ARGS="--kills 10000 --mutants 10000"
	$(PY) -m benchmarks faults $(ARGS)

ray: $(RAY) ## install what `index --engine ray` and its tests need

clean: ## remove what runs and tests left behind; .venv, bundles and runs stay
	rm -rf build demo map site .coverage* .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# The whole set holds the runtime set with the same pins.
$(ALL): requirements/all.txt
	$(call install,requirements/all.txt)
	@touch $(RUNTIME) $(WEB) $@

# What the web app needs; the runtime set is in it.
$(WEB): requirements/web.txt
	$(call install,requirements/web.txt)
	@touch $(RUNTIME) $@

# Besides the whole set, with the same pins.
$(RAY): requirements/ray.txt $(ALL)
	$(call install,requirements/ray.txt)
	@touch $@

# Besides the whole set, with the same pins.
$(MUTATION): requirements/mutation.txt $(ALL)
	$(call install,requirements/mutation.txt)
	@touch $@

$(AUDIT)/.installed: requirements/audit.txt $(RUNTIME)
	@rm -rf $(AUDIT) && $(PY) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/audit.txt
	@touch $@

# With the same pins as the whole set, and independent of it.
$(DOCS): requirements/docs.txt
	$(call install,requirements/docs.txt)
	@touch $@

$(RUNTIME): requirements/runtime.txt
	$(call install,requirements/runtime.txt)
	@touch $@

$(NODE): $(BROWSER)/package-lock.json
	@command -v npm >/dev/null || { echo "expected npm of Node.js 20 or newer, found none;" \
	  "install nodejs and npm from your system's packages" >&2; exit 1; }
	cd $(BROWSER) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@
