# The tasks of the project, one target each. `make help` lists them.
#
# Requirements: a Rust toolchain, a C compiler, make, and Python 3 for the demo and the tests; also curl and Go for the
# tests, and Node for `make proto` and `make bench`. Everything else is installed from the package registries into
# .tools/, which git ignores.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

TOOLS := $(CURDIR)/.tools
VENV := $(TOOLS)/venv
PYTHON ?= python3
BUF := $(TOOLS)/buf/node_modules/.bin/buf
DENY_VERSION := 0.20.2
DENY := $(TOOLS)/cargo/bin/cargo-deny
MUTANTS_VERSION := 27.1.0
MUTANTS := $(TOOLS)/cargo/bin/cargo-mutants
# BASE: the commit to compare with. MUTANTS_TESTS and MUTANTS_NAMES: the test binary that must detect the mutants, and a
# filter for test names, for example MUTANTS_TESTS="--test it" MUTANTS_NAMES=explain::.
BASE ?= HEAD~1
MUTANTS_TESTS ?= --lib
MUTANTS_NAMES ?=
MUTANTS_SECONDS ?= 1800
FUZZ_VERSION := 0.13.2
CARGO_FUZZ := $(TOOLS)/cargo/bin/cargo-fuzz
FUZZ_TARGETS ?= arn target config key url explain
FUZZ_SECONDS ?= 30
GRPCURL_VERSION := 1.9.4
GRPCURL := $(TOOLS)/bin/grpcurl
NODE_BENCH := $(TOOLS)/bench-node
BENCH_TARGET ?= target
PROTO_IMAGE := .ci/buf/presign-v1.binpb

# Runs cargo test with these arguments and then lists the ten slowest tests. Fails if a test fails.
export TEST_TIMES := $(CURDIR)/target/test-times
SLOWEST := sed -nE 's/^test (.*) \.\.\. .*<([0-9.]+)s>$$/\2 s  \1/p' $(TEST_TIMES) | sort -rn | sed -n 1,10p
define timed_tests
@mkdir -p target && : > $(TEST_TIMES)
@echo "cargo test --locked $(1)"; \
	cargo test --locked --config 'target."cfg(all())".runner = ".ci/timed"' $(1) || status=$$?; \
	echo "The slowest tests:"; $(SLOWEST); exit $${status:-0}
endef

export PRESIGND_TEST_PYTHON := $(VENV)/bin/python
export PRESIGND_TEST_GRPCURL := $(GRPCURL)
# More threads than cores: most tests mainly wait.
export RUST_TEST_THREADS ?= 8

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 21

.PHONY: demo
demo: $(VENV)/.done ## Sign, upload and download against an S3 server that verifies signatures
	cargo build --release --locked
	$(VENV)/bin/python examples/demo/demo.py --presignd target/release/presignd

.PHONY: test
test: $(VENV)/.done $(GRPCURL) ## Run all tests and list the slowest ones
	$(call timed_tests,)

.PHONY: unit
# Property tests run 32 cases here, and 256 in `make test`.
unit: export PROPTEST_CASES ?= 32
unit: ## Run only the unit tests, in seconds; needs no Python
	$(call timed_tests,--lib)

.PHONY: bench
bench: $(VENV)/.done $(NODE_BENCH)/.done ## Compare with other signers, in about six minutes; needs two CPUs and Node
	cargo build --release --locked
	cargo build --release --locked --manifest-path benches/Cargo.toml --target-dir $(BENCH_TARGET)
	$(VENV)/bin/python benches/run.py --presignd target/release/presignd --bench $(BENCH_TARGET)/release/presignd-bench \
		--python $(VENV)/bin/python --node-modules $(NODE_BENCH)/node_modules \
		--json target/bench.json --table benches/README.md $(BENCH_OPTIONS)

.PHONY: instructions
instructions: instructions-binary ## Compare the instruction counts of the core with the record; needs valgrind
	$(PYTHON) benches/instructions.py target/release/instructions

.PHONY: instructions-record
instructions-record: instructions-binary ## Record the counts in benches/instructions.json
	$(PYTHON) benches/instructions.py target/release/instructions --record

.PHONY: instructions-binary
instructions-binary:
	@command -v valgrind >/dev/null || { echo "valgrind is not installed: apt-get install valgrind" >&2; exit 1; }
	cargo build --release --locked --manifest-path benches/Cargo.toml --target-dir target --no-default-features

# Fuzzing needs the coverage counters of LLVM, which stable Rust supports (-Cpasses=sancov-module). Sanitizers need
# nightly Rust, so none is used: the fuzzed modules have no unsafe code, and the compiler is the one that builds the
# release. Findings are panics, violated properties, integer overflows, timeouts and too much memory.
.PHONY: fuzz
fuzz: $(CARGO_FUZZ) ## Fuzz each of FUZZ_TARGETS for FUZZ_SECONDS (30); needs a C++ compiler
	cargo fetch --quiet --locked --manifest-path fuzz/Cargo.toml
	$(CARGO_FUZZ) build --sanitizer none --release
	CARGO_FUZZ=$(CARGO_FUZZ) fuzz/run.sh $(FUZZ_SECONDS) $(FUZZ_TARGETS)

# Works in a copy of the sources with a fixed path, and reuses the built dependencies. The order of the mutants is
# random: if MUTANTS_SECONDS run out, the tested ones are a random sample.
.PHONY: mutants
mutants: $(MUTANTS) ## Mutate the changes since BASE (HEAD~1) and list mutants that MUTANTS_TESTS (--lib) miss
	rm -rf target/mutants && mkdir -p target/mutants/tree
	git diff $(BASE) -- src > target/mutants/diff
	git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from - \
		| tar --extract --directory target/mutants/tree
	CARGO_TARGET_DIR=$(CURDIR)/target timeout --signal INT $(MUTANTS_SECONDS) $(MUTANTS) mutants --dir target/mutants/tree \
		--in-place --in-diff target/mutants/diff --output target/mutants --shuffle --build-timeout 600 \
		--minimum-test-timeout 60 $(addprefix --cargo-arg=,--locked $(MUTANTS_TESTS)) -- $(MUTANTS_NAMES) \
		|| { status=$$?; [ $$status = 124 ] || exit $$status; echo "MUTANTS_SECONDS have run out. Missed so far:"; \
			cat target/mutants/mutants.out/missed.txt; }

.PHONY: build
build: ## Build the release binary
	cargo build --release --locked

.PHONY: check
check: fmt clippy doc deny proto deploy ## Run all checks except tests

.PHONY: fmt
fmt: ## Check the format of the code
	cargo fmt --check
	cargo fmt --check --manifest-path benches/Cargo.toml
	cargo fmt --check --manifest-path fuzz/Cargo.toml

.PHONY: clippy
clippy: ## Run clippy; warnings are errors
	cargo clippy --locked --all-targets -- -D warnings

.PHONY: doc
doc: ## Build the documentation of the library
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

.PHONY: deny
deny: $(DENY) ## Check licences, sources and banned crates
	$(DENY) check bans licenses sources

.PHONY: proto
proto: $(BUF) ## Check the contract: lint, format, no breaking change to the committed image
	$(BUF) lint
	$(BUF) format --diff --exit-code
	$(BUF) breaking --against $(PROTO_IMAGE)

# Clients rely on the contract in the image. Update it if a release extends the contract, or for an intended breaking
# change.
.PHONY: proto-image
proto-image: $(BUF) ## Update the image that `make proto` compares with
	$(BUF) build --exclude-source-info --output $(PROTO_IMAGE)

.PHONY: deploy
deploy: $(VENV)/.done ## Check the files in deploy/; needs no cluster
	cargo build --locked
	$(VENV)/bin/python deploy/check.py target/debug/presignd

.PHONY: clean
clean: ## Remove all built and installed files
	rm -rf target fuzz/target fuzz/corpus fuzz/artifacts $(TOOLS)

$(VENV)/.done: tests/python/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

$(GRPCURL):
	GOBIN=$(@D) go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v$(GRPCURL_VERSION)

$(BUF): .ci/buf/package-lock.json
	mkdir -p $(TOOLS)/buf
	cp .ci/buf/package.json .ci/buf/package-lock.json $(TOOLS)/buf/
	npm ci --prefix $(TOOLS)/buf --ignore-scripts --no-audit --no-fund --silent
	touch $@

$(NODE_BENCH)/.done: benches/node/package-lock.json
	mkdir -p $(NODE_BENCH)
	cp benches/node/package.json benches/node/package-lock.json $(NODE_BENCH)/
	npm ci --prefix $(NODE_BENCH) --ignore-scripts --no-audit --no-fund --silent
	touch $@

$(DENY):
	cargo install cargo-deny --locked --version $(DENY_VERSION) --no-default-features --root $(TOOLS)/cargo \
		--target-dir $(TOOLS)/cargo-build

$(MUTANTS):
	cargo install cargo-mutants --locked --version $(MUTANTS_VERSION) --root $(TOOLS)/cargo --target-dir $(TOOLS)/cargo-build

$(CARGO_FUZZ):
	cargo install cargo-fuzz --locked --version $(FUZZ_VERSION) --root $(TOOLS)/cargo --target-dir $(TOOLS)/cargo-build
