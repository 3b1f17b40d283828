# Everything that is done to presignd, one target each. `make help` lists them.
#
# What is needed beforehand: a Rust toolchain, a C compiler, make, and Python 3 for the demo and the tests (curl and Go
# too, for the tests; Node, for `make proto` and `make bench`). The rest comes from the package registries into .tools/, which git ignores.

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
# The change is what differs from this commit. The tests that must find the mutants: their binary, and parts of their names
# (MUTANTS_TESTS="--test it" MUTANTS_NAMES=explain:: for example).
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

# cargo test with these arguments, then the ten slowest tests; it fails when a test fails.
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
# Most tests wait for something most of the time.
export RUST_TEST_THREADS ?= 8

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: demo
demo: $(VENV)/.done ## Sign, upload and download against an S3 server that verifies signatures
	cargo build --release --locked
	$(VENV)/bin/python examples/demo/demo.py --presignd target/release/presignd

.PHONY: test
test: $(VENV)/.done $(GRPCURL) ## Every test, and the names of the slowest
	$(call timed_tests,)

.PHONY: unit
# A property is tried with 32 cases here, with 256 by `make test`.
unit: export PROPTEST_CASES ?= 32
unit: ## The unit tests alone, in seconds; needs no Python
	$(call timed_tests,--lib)

.PHONY: bench
bench: $(VENV)/.done $(NODE_BENCH)/.done ## Measure against rivals, in about six minutes once it is built; needs two CPUs and Node
	cargo build --release --locked
	cargo build --release --locked --manifest-path benches/Cargo.toml --target-dir $(BENCH_TARGET)
	$(VENV)/bin/python benches/run.py --presignd target/release/presignd --bench $(BENCH_TARGET)/release/presignd-bench \
		--python $(VENV)/bin/python --node-modules $(NODE_BENCH)/node_modules \
		--json target/bench.json --table benches/README.md $(BENCH_OPTIONS)

.PHONY: instructions
instructions: instructions-binary ## Instructions of the core for a URL, held against benches/instructions.json; needs valgrind
	$(PYTHON) benches/instructions.py target/release/instructions

.PHONY: instructions-record
instructions-record: instructions-binary ## Write the counts of instructions down
	$(PYTHON) benches/instructions.py target/release/instructions --record

.PHONY: instructions-binary
instructions-binary:
	@command -v valgrind >/dev/null || { echo "valgrind is needed: apt-get install valgrind" >&2; exit 1; }
	cargo build --release --locked --manifest-path benches/Cargo.toml --target-dir target --no-default-features

# A fuzz target needs the counters of LLVM's coverage pass, which stable Rust has (-Cpasses=sancov-module), and a
# sanitizer, which only nightly has. presignd is free of unsafe code, so it is fuzzed without one: the compiler is the
# same that builds it, and RUSTC_BOOTSTRAP is not needed. Panics, broken laws, overflows, hanging and memory are findings.
.PHONY: fuzz
fuzz: $(CARGO_FUZZ) ## Look for inputs that break a law, FUZZ_SECONDS (30) for each of FUZZ_TARGETS; needs a C++ compiler
	cargo fetch --quiet --locked --manifest-path fuzz/Cargo.toml
	$(CARGO_FUZZ) build --sanitizer none --release
	CARGO_FUZZ=$(CARGO_FUZZ) fuzz/run.sh $(FUZZ_SECONDS) $(FUZZ_TARGETS)

# In a copy of the sources, whose path is always the same, with the dependencies that are built already. When the time is
# over, what was tried until then is a random sample.
.PHONY: mutants
mutants: $(MUTANTS) ## Mutants of what changed since BASE (HEAD~1) that MUTANTS_TESTS (--lib) do not find
	rm -rf target/mutants && mkdir -p target/mutants/tree
	git diff $(BASE) -- src > target/mutants/diff
	git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from - \
		| tar --extract --directory target/mutants/tree
	CARGO_TARGET_DIR=$(CURDIR)/target timeout --signal INT $(MUTANTS_SECONDS) $(MUTANTS) mutants --dir target/mutants/tree \
		--in-place --in-diff target/mutants/diff --output target/mutants --shuffle --build-timeout 600 \
		--minimum-test-timeout 60 $(addprefix --cargo-arg=,--locked $(MUTANTS_TESTS)) -- $(MUTANTS_NAMES) \
		|| { status=$$?; [ $$status = 124 ] || exit $$status; echo "MUTANTS_SECONDS are over. Missed until then:"; \
			cat target/mutants/mutants.out/missed.txt; }

.PHONY: build
build: ## The release binary
	cargo build --release --locked

.PHONY: check
check: fmt clippy doc deny proto deploy ## Every check that is not a test

.PHONY: fmt
fmt: ## The format of the code
	cargo fmt --check
	cargo fmt --check --manifest-path benches/Cargo.toml
	cargo fmt --check --manifest-path fuzz/Cargo.toml

.PHONY: clippy
clippy: ## Lints, warnings denied
	cargo clippy --locked --all-targets -- -D warnings

.PHONY: doc
doc: ## The documentation of the library
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

.PHONY: deny
deny: $(DENY) ## Licences, sources and banned crates
	$(DENY) check bans licenses sources

.PHONY: proto
proto: $(BUF) ## The contract: lint, format, and no breaking change against the committed image
	$(BUF) lint
	$(BUF) format --diff --exit-code
	$(BUF) breaking --against $(PROTO_IMAGE)

# The image is what clients rely on: refresh it when a release adds to the contract, or for a deliberate break.
.PHONY: proto-image
proto-image: $(BUF) ## Make the contract of today the one that `make proto` compares with
	$(BUF) build --exclude-source-info --output $(PROTO_IMAGE)

.PHONY: deploy
deploy: $(VENV)/.done ## The files in deploy/, as far as they can be checked without a cluster
	cargo build --locked
	$(VENV)/bin/python deploy/check.py target/debug/presignd

.PHONY: clean
clean: ## Remove what was built and installed
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
