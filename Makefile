# The front door: every verb of the house, one line of purpose each (`make help`).
# Needs node and npm only. Bun comes from node_modules at the pinned version, never from PATH,
# and no package's install script is run.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# The platform, in the words of the @oven/bun-* packages
os := $(shell uname -s | tr A-Z a-z)
arch := $(patsubst x86_64,x64,$(patsubst amd64,x64,$(patsubst arm64,aarch64,$(shell uname -m))))
libc := $(if $(filter linux,$(os)),$(if $(wildcard /lib/ld-musl-*),-musl))
platform := $(os)-$(arch)$(libc)

version := $(shell sed -n 's/^  "version": "\(.*\)",$$/\1/p' package.json)
bun_version := $(shell sed -n 's/^    "bun": "\([0-9.]*\)".*/\1/p' package.json | head -n 1)
commit = $(shell git describe --always --dirty --abbrev=12 --exclude '*' 2>/dev/null || echo unknown)

BUN := node_modules/@oven/bun-$(platform)/bin/bun
modules := node_modules/.package-lock.json
sources := $(shell find cmd lib -type f) package.json package-lock.json tsconfig.json
binary := dist/pcpbox

# What the executable is built with. The autoload switches are a matter of safety: without them a
# bunfig.toml or .env in the working directory runs code in, or sets variables of, the program.
# The source map is inside the executable; the copies that are written beside it are removed.
# Splitting keeps what a lazily imported file imports, such as node:http, out of every start.
compile = $(BUN) build --compile --bytecode --format=esm --splitting --minify-whitespace \
  --minify-syntax --sourcemap --no-compile-autoload-dotenv --no-compile-autoload-bunfig \
  --compile-autoload-package-json --define 'PCPBOX_VERSION="$(version)"' \
  --define 'PCPBOX_COMMIT="$(commit)"' --define 'PCPBOX_TARGET="$(1)"' \
  --target=bun-$(1) --outfile=$(2) ./cmd/main.ts $(threads)

# Files that run in a thread of their own are entries too, found in the executable by these paths
threads := $(addprefix ./,$(wildcard lib/server/pump-thread.ts lib/discover/survey-thread.ts))

# Every platform of `make dist`: name here = name in the file, x64/arm64 as Bun's targets say it
targets := linux-x64 linux-arm64 linux-x64-musl linux-arm64-musl darwin-x64 darwin-arm64 windows-x64
target := $(subst aarch64,arm64,$(platform))

.PHONY: run test check bench soak fuzz qa build install dist man clean help

run: $(binary) ## build and start the proxy in the foreground, history in archives
	@echo 'The proxy listens on port 44322 until Ctrl-C. To open: http://localhost:44322/'
	@echo 'or, where a pmcd runs: pminfo -h localhost@localhost kernel.all.load'
	@# Where PCP is installed its pmproxy.conf names a key server, which a first run must not wait for.
	@PCP_PMSERIES_STORE=$${PCP_PMSERIES_STORE:-embedded} exec $(binary) proxy -f -l - $(ARGS)

test: $(modules) $(binary) ## everything: sets up what is missing, runs all tests (ARGS="tests/pdu")
	@tests/setup/peers.sh
	@$(BUN) tests/setup/suite.ts $(ARGS)

check: $(modules) ## format, lint, types, layering, duplicates
	$(BUN) fmt --check
	$(BUN) node_modules/.bin/oxlint --deny-warnings
	$(BUN) check
	$(BUN) check -p lib/page/ui
	$(BUN) test tests/tidy.test.ts tests/duplicates.test.ts

bench: $(modules) $(binary) ## measure against the real programs, alternating (minutes)
	$(BUN) tests/bench/run.ts $(ARGS)

soak: $(modules) $(binary) ## a million requests over all endpoints, memory watched (minutes)
	$(BUN) tests/bench/soak.ts $(ARGS)

fuzz: $(modules) ## random input against every decoder, 60 s each (ARGS="--seconds 600")
	$(BUN) tests/fuzz/run.ts $(ARGS)

qa: $(binary) ## PCP's own tests with our programs, as root on Debian (ARGS="--part extract --release 6 151")
	@tests/qa/run.sh $(ARGS)

build: $(binary) ## dist/pcpbox for this platform

install: $(binary) ## copy to $(DESTDIR)$(PREFIX)/bin, with links named pmproxy and pmlogextract
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(binary) $(DESTDIR)$(PREFIX)/bin/pcpbox
	ln -sf pcpbox $(DESTDIR)$(PREFIX)/bin/pmproxy
	ln -sf pcpbox $(DESTDIR)$(PREFIX)/bin/pmlogextract

dist: $(modules) ## executables for all platforms in dist/, with SHA256SUMS
	@rm -f dist/pcpbox-*
	$(foreach t,$(targets),$(call compile,$(t),dist/pcpbox-$(version)-$(t))$(newline))
	@rm -f dist/*.map
	cd dist && $$(command -v sha256sum || echo shasum -a 256) pcpbox-$(version)-* > SHA256SUMS

man: $(binary) ## manual pages in dist/man
	@mkdir -p dist/man
	$(binary) help --man dist/man

clean: ## remove what was built (not node_modules)
	rm -rf dist/* .cache

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r verb purpose; do \
	  printf '  make %-8s %s\n' "$$verb" "$$purpose"; done

PREFIX ?= /usr/local

define newline


endef

$(binary): $(modules) $(sources)
	$(call compile,$(target),$@)
	@rm -f $(@D)/*.map

$(modules): package-lock.json
	@# A registry may fail for a moment; npm itself asks again for single files only.
	for pause in 5 20 0; do \
	  npm ci --ignore-scripts --no-audit --no-fund --fetch-retries=5 && break; \
	  [ $$pause != 0 ] || exit 1; \
	  echo "make: npm ci again in $$pause s" >&2; sleep $$pause; \
	done
	@test -x $(BUN) || { echo "make: no Bun for this platform at $(BUN)" >&2; exit 1; }
	@test "$$($(BUN) --version)" = "$(bun_version)" || { echo "make: $(BUN) is not $(bun_version)" >&2; exit 1; }
	@touch $@
