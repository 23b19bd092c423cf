# What there is to do with this tree: `make help`. Needed beforehand: Python 3.9 or newer with venv, and Rust.
# Everything else goes into $(VENV) and target/.

PYTHON ?= python3
VENV   ?= .venv
CARGO  ?= cargo
# Further arguments: of pytest for `test-python`, of the demo for `demo`.
ARGS   ?=
# Processes that share the Python tests.
WORKERS ?= auto

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help

BIN  := $(VENV)/bin
# Written once each step is done; what it depends on being newer, it is done again.
DONE := $(VENV)/.done

export VIRTUAL_ENV := $(abspath $(VENV))
# The interpreter that Rust builds for.
export PYO3_PYTHON := $(abspath $(BIN)/python)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# maturin installs with pip too.
export PIP_QUIET := 1

SOURCES := $(shell find src macros -name '*.rs') macros/Cargo.toml Cargo.toml Cargo.lock pyproject.toml
MATURIN := $(BIN)/maturin
PIP     := $(BIN)/python -m pip install
FEATURES := python,fleet
# Without Python; the same for every run of tests, so that nothing is compiled twice.
TESTED := fleet,check

.PHONY: help
help: ## What there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  Variables: PYTHON=$(PYTHON) VENV=$(VENV) ARGS='...' PYTHONS='...' (make smoke)"

# ----------------------------------------------------------------------------------------------------------------------
# The tools and the module
# ----------------------------------------------------------------------------------------------------------------------

# Dependency groups need pip 25.1.
$(DONE)/build: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade 'pip>=25.1'
	$(PIP) --group build
	@mkdir -p $(DONE) && touch $@

$(DONE)/test $(DONE)/check $(DONE)/bench $(DONE)/docs $(DONE)/wheel: $(DONE)/%: pyproject.toml $(DONE)/build
	$(PIP) --group $*
	@touch $@

# There is one module in the tree, so the stamp of one profile ends the other's.
$(DONE)/module-dev: $(SOURCES) $(DONE)/build
	$(MATURIN) develop --locked --extras cli
	@rm -f $(DONE)/module-release && touch $@

$(DONE)/module-release: $(SOURCES) $(DONE)/build
	$(MATURIN) develop --locked --extras cli --release
	@rm -f $(DONE)/module-dev && touch $@

.PHONY: build
build: $(DONE)/module-release ## Build the module, optimised, into $(VENV)

# Trained: what benches/python/training.py calls is made fast and laid side by side, the rest small. It is compiled twice.
# PORTABLE=1 links by zig against the oldest glibc that is promised, instead of by what is here against the glibc that is here.
PORTABLE ?=
FLOOR := manylinux_2_17
.PHONY: wheel
wheel: $(DONE)/wheel ## Build the wheel of a release for this interpreter into dist/, and print its size (a quarter of an hour)
	rm -f dist/*.whl
	@ls "$$(rustc --print sysroot)"/lib/rustlib/*/bin/llvm-profdata* >/dev/null 2>&1 || rustup component add llvm-tools
	$(if $(PORTABLE),$(PIP) ziglang)
	$(MATURIN) build --locked --profile wheel --pgo --out dist $(if $(PORTABLE),--zig --compatibility $(FLOOR),$$(bash scripts/linker.sh))
	$(BIN)/python scripts/repack.py dist
	$(BIN)/python scripts/wheel_size.py dist
	$(BIN)/python scripts/glibc_floor.py dist

# What pip builds there is used once, so it need not be fast.
ONCE := MATURIN_PEP517_ARGS='--profile dev' CARGO_TARGET_DIR=$(abspath target)
.PHONY: sdist
sdist: $(DONE)/build ## Build the source distribution into dist/, look into it, install and try what it builds
	rm -f dist/*.tar.gz
	$(MATURIN) sdist --out dist
	$(BIN)/python scripts/sdist.py dist
	env $(ONCE) $(BIN)/python tests/smoke/run.py --sdist dist $(BIN)/python

# ----------------------------------------------------------------------------------------------------------------------
# What it does
# ----------------------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: $(DONE)/module-release ## Build, start proxies on loopback, fetch pages through them
	PYTHONPATH=examples $(BIN)/python -m demo $(ARGS)

# The package is imported for its public names; scripts/site/build.py brings the pages together in target/site.
.PHONY: docs
docs: $(DONE)/module-dev $(DONE)/docs ## Build the documentation site into site/; a link that leads nowhere is an error
	$(BIN)/python scripts/site/build.py
	cd target/site && $(abspath $(BIN))/zensical build --strict
	@rm -rf site && cp -r target/site/html site
	$(BIN)/python scripts/site/links.py site

.PHONY: bench
bench: $(DONE)/module-release $(DONE)/bench ## Measure, print the tables, write docs/benchmarks.md (a quarter of an hour)
	$(BIN)/python benches/python/report.py $(ARGS)

.PHONY: resilience
resilience: $(DONE)/module-release ## Play failures, bans, limits and outages, and print what was promised and found
	$(BIN)/python benches/python/resilience.py $(ARGS)

# ----------------------------------------------------------------------------------------------------------------------
# Whether it is right
# ----------------------------------------------------------------------------------------------------------------------

.PHONY: test
test: test-rust test-python ## Run all tests, Rust's and Python's

.PHONY: test-rust
test-rust: ## Run the core's tests
	$(CARGO) test --locked --features $(TESTED)

.PHONY: test-python
test-python: $(DONE)/module-dev $(DONE)/test ## Run the Python tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

FUZZ ?= 60
.PHONY: fuzz
fuzz: $(DONE)/module-dev $(DONE)/test ## Feed damaged lists and answers to every parser for a minute (FUZZ=seconds)
	PROXYWHIRL_FUZZ_SECONDS=$$(( $(FUZZ) / 3 )) $(CARGO) test --locked --features $(TESTED) --test core -- supply_fuzz::damaged
	PROXYWHIRL_FUZZ_SECONDS=$$(( $(FUZZ) / 3 )) $(CARGO) test --locked --features $(TESTED) --test wire -- fuzz::damaged
	PROXYWHIRL_FUZZ_SECONDS=$$(( $(FUZZ) / 3 )) $(BIN)/python -m pytest -q tests/python/property/test_parsers_fuzz.py

.PHONY: loom
loom: ## Check the lock-free parts under every schedule that loom finds
	bash scripts/loom.sh

.PHONY: soak
soak: $(DONE)/module-release $(DONE)/test ## 200,000 requests over a fleet that fails at random; then the books must balance
	$(BIN)/python tests/soak/soak.py $(ARGS)
	PROXYWHIRL_LONG=1 $(BIN)/python -m pytest -q tests/python/integration/test_pool_under_load.py tests/python/integration/test_forks.py

.PHONY: smoke
smoke: $(DONE)/build ## Build a wheel for every Python found, install and try it
	$(BIN)/python tests/smoke/run.py $(if $(WITHIN),--within $(WITHIN)) $(PYTHONS)

.PHONY: check
check: check-format check-clippy check-doc check-python check-stubs check-types check-targets check-workflows check-tree docs ## Formatting, lints, types, stubs, documentation, layers, the way of a request

.PHONY: check-format
check-format:
	$(CARGO) fmt --check

# Tests, benches and examples may look at the clock. The module of all versions from 3.10 on has lines of its own.
.PHONY: check-clippy
check-clippy: $(DONE)/build
	$(CARGO) clippy --locked --features $(FEATURES) -- -D warnings
	$(CARGO) clippy --locked --all-targets --features $(FEATURES) -- -D warnings -A clippy::disallowed-methods
	$(CARGO) clippy --locked --features $(FEATURES),abi3 -- -D warnings

# Windows and macOS, where their targets are installed.
.PHONY: check-targets
check-targets:
	bash scripts/check_targets.sh $(FEATURES)

.PHONY: check-workflows
check-workflows: $(DONE)/check
	$(BIN)/zizmor --offline --quiet .github

.PHONY: check-doc
check-doc: $(DONE)/build
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps --document-private-items --features $(FEATURES)

.PHONY: check-python
check-python: $(DONE)/check
	$(BIN)/ruff check
	$(BIN)/ruff format --check

.PHONY: check-types
check-types: $(DONE)/module-dev $(DONE)/check
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(PYO3_PYTHON)
	$(BIN)/python -m mypy.stubtest proxywhirl._core --allowlist tests/typing/stubtest-allowlist.txt

.PHONY: check-tree
check-tree: $(DONE)/module-dev $(DONE)/check
	$(BIN)/python -m pytest -q tests/python/docs/test_tree.py tests/python/docs/test_layers.py tests/python/integration/test_warm_get.py
	$(CARGO) test --locked --features $(TESTED) --test core -- layers::

# A build of its own, with what PyO3 knows of the signatures in it; it is read and never run, so nothing is optimised.
STUB := python/proxywhirl/_core.pyi
target/stubs/_core.pyi: $(SOURCES) scripts/stub.py $(wildcard scripts/refined/*.pyi) | $(DONE)/check
	CARGO_PROFILE_DEV_OPT_LEVEL=0 $(MATURIN) generate-stubs --locked --features $(FEATURES),pyo3/experimental-inspect --out target/stubs
	$(BIN)/python scripts/stub.py target/stubs/proxywhirl/_core.pyi scripts/refined > $@
	$(BIN)/ruff check --quiet --fix --select I $@
	$(BIN)/ruff format --quiet $@

.PHONY: stubs
stubs: target/stubs/_core.pyi ## Generate the stub of the native module from its signatures
	cp $< $(STUB)

.PHONY: check-stubs
check-stubs: target/stubs/_core.pyi
	diff -u $(STUB) $< || { echo 'The stub is not what the sources say: make stubs'; exit 1; }

.PHONY: format
format: $(DONE)/check ## Format everything
	$(CARGO) fmt
	$(BIN)/ruff check --fix --quiet || true
	$(BIN)/ruff format

# ----------------------------------------------------------------------------------------------------------------------

.PHONY: clean
clean: ## Remove what was built, $(VENV) included
	rm -rf target dist site $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	rm -f python/proxywhirl/_core.*.so python/proxywhirl/_core.*.pyd
	find python tests examples -name __pycache__ -type d -prune -exec rm -rf {} +
