# SPDX-License-Identifier: Apache-2.0

# Builds, tests and installs villas-ext. `make help` lists the targets.

VERSION  := 1.0.0
SONAME   := libvillas-ext.so.1
PREFIX   ?= /usr/local
LIBDIR   ?= $(PREFIX)/lib
UNITDIR  ?= $(PREFIX)/lib/systemd/system
BUILD    ?= build
GO       ?= go
ifeq ($(origin CC),default)
CC       := gcc
endif
CFLAGS   ?= -O2 -g
PYTHON   ?= $(firstword $(wildcard /usr/bin/python3) python3)
GOFLAGS_LIB := -trimpath -buildmode=c-shared -tags=$(TAGS)

LIB      := $(BUILD)/$(SONAME)
GO_SRC   := $(shell find . -name '*.go' -not -name '*_test.go' -not -path './$(BUILD)/*') go.mod
EXT_SRC  := $(wildcard ext/*.c ext/*.h ext/*.S ext/*.map) $(shell find include -name '*.h')
EXAMPLES := $(patsubst examples/%/,$(BUILD)/%,$(dir $(wildcard examples/*/*.c)))
SHMEM    := $(BUILD)/villas-shmem
COMMANDS := $(patsubst cmd/%/,$(BUILD)/%,$(sort $(dir $(wildcard cmd/*/*.go))))

# DWARF 4: valgrind 3.19 cannot read the other.
# Link flags: cgo takes them only here. -Bsymbolic-functions after Go's own -Bsymbolic gives program and library one
# copy of each data symbol.
EXTLDFLAGS := -Wl,-soname,$(SONAME) -Wl,--version-script=$(CURDIR)/ext/libvillas-ext.map -Wl,-Bsymbolic-functions \
	-Wl,-z,now -Wl,-z,nodelete

.PHONY: all run test test-python test-with-numpy test-without-numpy storm hostile churn quiet soak soak-gen fuzz screens bench bench-python wheel install install-python uninstall man clean help needs-build needs-test

all: $(LIB) $(EXAMPLES) $(COMMANDS)  ## build the library, the examples and the commands into build/

$(LIB): Makefile $(GO_SRC) $(EXT_SRC) | needs-build
	@mkdir -p $(BUILD)
	GOEXPERIMENT=nodwarf5 CGO_ENABLED=1 $(GO) build $(GOFLAGS_LIB) -ldflags="-extldflags '$(EXTLDFLAGS)'" -o $(BUILD)/$(SONAME).new ./ext
	@rm -f $(BUILD)/$(SONAME).h $(BUILD)/libvillas-ext.so.h
	mv $(BUILD)/$(SONAME).new $@
	ln -sf $(SONAME) $(BUILD)/libvillas-ext.so
	@rm -f $(BUILD)/$(SONAME).new.h $(BUILD)/libvillas-ext.so.new.h

# For arm64, where the tests run it under qemu-user. Elsewhere: make CC=aarch64-linux-gnu-gcc GOARCH=arm64 BUILD=...
ARM64 := $(BUILD)/arm64/$(SONAME)
$(ARM64): Makefile $(GO_SRC) $(EXT_SRC) | needs-test
	GOARCH=arm64 $(MAKE) --no-print-directory CC=aarch64-linux-gnu-gcc BUILD=$(BUILD)/arm64 $@

# The library that dies where a test says (tag faults) and asserts each address it touches (tag bounds).
CHECKED := $(BUILD)/checked/$(SONAME)
$(CHECKED): Makefile $(GO_SRC) $(EXT_SRC)
	$(MAKE) --no-print-directory TAGS=faults,bounds BUILD=$(BUILD)/checked $@

# Every test. Long ones have targets of their own.
test: all needs-test $(ARM64) $(CHECKED)  ## run all tests
	$(GO) vet ./...
	VILLAS_EXT_BUILD=$(abspath $(BUILD)) $(GO) test -timeout 20m ./...
	CGO_ENABLED=1 $(GO) test -race $$($(GO) list ./internal/... | grep -v /chart) ./memory ./pool ./queue ./sample ./shmem ./node
	$(MAKE) --no-print-directory test-python

test-python: all needs-test  ## run the tests of the Python package, with numpy and without
	@$(MAKE) --no-print-directory -j2 -Otarget test-with-numpy test-without-numpy

PYTEST = cd python && PYTHONDONTWRITEBYTECODE=1 VILLAS_EXT_BUILD=$(abspath $(BUILD)) PYTHONPATH=$(1) $(PYTHON) -m pytest -q
test-with-numpy:
	$(call PYTEST,src:tests)
test-without-numpy:
	$(call PYTEST,src:tests:tests/without_numpy) --ignore tests/once

# Long forms of tests, each with its figures on the standard output.
LONG = VILLAS_EXT_BUILD=$(abspath $(BUILD)) $(GO) test -count=1 -timeout 12h -v ./tests -run

STORM_ROUNDS ?= 2000
storm: all $(CHECKED)  ## kill either side STORM_ROUNDS times in all 16 settings; prints how long it took to notice
	VILLAS_EXT_LIMIT=4h STORM_ROUNDS=$(STORM_ROUNDS) $(LONG) Survivor

HOSTILE_MUTATIONS ?= 12500000
hostile: all $(CHECKED)  ## change HOSTILE_MUTATIONS words of a live region under the calls of its other side, in each of 8 settings
	VILLAS_EXT_LIMIT=4h HOSTILE_MUTATIONS=$(HOSTILE_MUTATIONS) $(LONG) WhateverThePeerWrites

CHURN_ROUNDS ?= 100000
churn: all  ## open and close both sides CHURN_ROUNDS times, in C and Go
	VILLAS_EXT_LIMIT=4h CHURN_ROUNDS=$(CHURN_ROUNDS) $(LONG) LeavesNothingBehind

QUIET_SECONDS ?= 10
quiet: all  ## count the wake-ups and page faults of the library, QUIET_SECONDS idle and as long in full traffic
	VILLAS_EXT_LIMIT=1h QUIET_SECONDS=$(QUIET_SECONDS) $(LONG) IsQuiet

soak: SOAK_SECONDS = 3600
soak: all  ## exchange at full rate for SOAK_SECONDS, threads and processes, both modes, C and Go
	VILLAS_EXT_LIMIT=4h SOAK_SECONDS=$(SOAK_SECONDS) $(LONG) LongRun

SOAK_SECONDS ?= 600
soak-gen: all  ## send 10000 samples a second for SOAK_SECONDS and compare each that arrives
	VILLAS_EXT_LIMIT=12h SOAK_SECONDS=$(SOAK_SECONDS) $(LONG) NoSampleIsLost

# A number of runs; a time (60s) fails with "context deadline exceeded" when the machine is busy as it ends.
FUZZ_TIME ?= 300000x
fuzz:  ## run each fuzz test FUZZ_TIME long
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep ^Fuzz); do \
		echo "$$p $$f"; $(GO) test $$p -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZ_TIME) || exit; done; done

screens: all  ## draw the pictures of the documentation
	$(BUILD)/villas-shmem gen --wave sine,square,triangle,random --frequency 2 --amplitude 325,100,100,50 --noise 0,2,0,0 --name u,switch,triangle,walk \
		--unit V --rate 1000 --limit 2000 --start 1700000000 --fast | $(BUILD)/villas-shmem plot - --size 900x400 --title 'Four signals' -o docs/plot.png
	$(SHMEM) node etc/shmem.yaml -q --in tests/data/mixed.villas --loop --rate 1000 --out /dev/null & node=$$!; \
	tmux -L villas-screens -f /dev/null new-session -d -x 110 -y 32 '$(SHMEM) monitor /villas-ext-demo --span 2s'; sleep 4; \
	tmux -L villas-screens capture-pane -e -p | $(GO) run ./tests/screen > docs/monitor.svg; \
	tmux -L villas-screens kill-server; kill $$node; wait

# RUNS: of which the medians are taken. ONLY: calls, pairs or growth.
# AGAINST: any libvillas-ext.so.1 to be measured in place of the yardstick in C; the documentation stays as it is then.
RUNS ?= 5
DOC  ?= docs/performance.md
MEASURE := $(patsubst bench/measure/%.c,$(BUILD)/bench/%,$(wildcard bench/measure/*.c)) $(BUILD)/bench/libyardstick.so $(BUILD)/bench/libtricks.so
bench: $(LIB) $(MEASURE)  ## what calls cost beside the same in C, and what else there is; writes docs/performance.md
	$(GO) build -o $(BUILD)/bench/run ./bench
	$(GO) test -c -o $(BUILD)/bench/go.test ./shmem
	$(BUILD)/bench/run -programs $(BUILD)/bench -library $(LIB) -runs $(RUNS) $(if $(ONLY),-only $(ONLY)) $(if $(AGAINST),-against $(AGAINST),-doc $(DOC))
	@$(if $(ONLY),,$(MAKE) --no-print-directory bench-python)

$(BUILD)/bench/%: bench/measure/%.c $(wildcard bench/measure/*.h)
	@mkdir -p $(BUILD)/bench
	$(CC) -O2 -Wall -Wextra -Iinclude $< -o $@ -pthread -ldl -lrt

$(BUILD)/bench/zeromq: bench/measure/zeromq.c $(wildcard bench/measure/*.h)
	@mkdir -p $(BUILD)/bench
	@echo '#include <zmq.h>' | $(CC) -E - >/dev/null 2>&1 || test "$$(id -u)" != 0 || ! command -v apt-get >/dev/null || \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq libzmq3-dev; }
	$(CC) -O2 -Wall -Wextra -Iinclude $< -o $@ -pthread -ldl -lzmq || echo "without ZeroMQ: apt-get install libzmq3-dev"

$(BUILD)/bench/libyardstick.so: CPPFLAGS =
$(BUILD)/bench/libtricks.so: CPPFLAGS = -DTRICKS
$(BUILD)/bench/lib%.so: bench/yardstick/yardstick.c
	@mkdir -p $(BUILD)/bench
	$(CC) -O2 -Wall -Wextra $(CPPFLAGS) -Iinclude -shared -fPIC $< -o $@ -pthread

bench-python: $(BUILD)/bench/stream  ## what the Python package costs, beside the same streams in C
	PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=python/src VILLAS_EXT_LIBRARY=$(LIB) $(PYTHON) python/bench/stream.py $< $(BUILD)/bench/python.json

$(BUILD)/bench/stream: python/bench/stream.c $(LIB)
	@mkdir -p $(BUILD)/bench
	$(CC) -O2 -Wall -Wextra -Iinclude $< -o $@ -L$(BUILD) -lvillas-ext -Wl,-rpath,'$$ORIGIN/..'

# The wheel holds the library, without debug information; python/setup.py names the oldest glibc that it runs on.
WHEEL := $(BUILD)/wheel
wheel: $(LIB)  ## build a Python wheel that holds the library, into build/wheel/
	@rm -rf $(WHEEL)
	@mkdir -p $(WHEEL)
	cp -r python $(WHEEL)/source && cp LICENSE $(WHEEL)/source
	strip --strip-debug $(LIB) -o $(WHEEL)/source/src/villas_ext/$(SONAME)
	$(PYTHON) -m pip wheel --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation -w $(WHEEL) $(WHEEL)/source
	@rm -rf $(WHEEL)/source

# Where PYTHON looks for packages below PREFIX.
PYTHONDIR ?= $(shell $(PYTHON) -c 'import site, sys; lib = "$(PREFIX)/lib/"; print(next((p for p in site.getsitepackages() \
	if p.startswith(lib)), lib + "python%d.%d/site-packages" % sys.version_info[:2]))' 2>/dev/null)
install-python:  ## install the Python package alone
	install -d $(DESTDIR)$(PYTHONDIR)/villas_ext
	install -m 644 python/src/villas_ext/*.py python/src/villas_ext/py.typed $(DESTDIR)$(PYTHONDIR)/villas_ext

DEST := $(DESTDIR)$(PREFIX)
install: all man $(if $(PYTHONDIR),install-python)  ## install library, headers, commands, manual pages, villas-ext.pc and, where there is Python, its package below DESTDIR and PREFIX
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DEST)/bin $(DEST)/share/villas-ext $(DESTDIR)$(UNITDIR)
	install -m 755 $(LIB) $(DESTDIR)$(LIBDIR)/libvillas-ext.so.$(VERSION)
	ln -sf libvillas-ext.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libvillas-ext.so
	cd include && find villas -name '*.h' -exec install -D -m 644 {} $(abspath $(DEST))/include/{} \;
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' villas-ext.pc.in \
		> $(DESTDIR)$(LIBDIR)/pkgconfig/villas-ext.pc
	install -m 755 $(COMMANDS) $(DEST)/bin
	install -m 644 etc/valgrind.supp etc/shmem.schema.json $(DEST)/share/villas-ext
	cd $(BUILD)/share && find * -type f -exec install -D -m 644 {} $(abspath $(DEST))/share/{} \;
	sed 's|/usr/local/bin|$(PREFIX)/bin|' etc/villas-shmem@.service > $(DESTDIR)$(UNITDIR)/villas-shmem@.service

uninstall:  ## remove what install put there
	rm -f $(DESTDIR)$(LIBDIR)/libvillas-ext.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME) $(DESTDIR)$(LIBDIR)/libvillas-ext.so
	rm -f $(DESTDIR)$(LIBDIR)/pkgconfig/villas-ext.pc $(addprefix $(DEST)/bin/,$(notdir $(COMMANDS)))
	rm -f $(DEST)/share/man/man1/villas-shmem*.1 $(DEST)/share/bash-completion/completions/villas-shmem \
		$(DEST)/share/zsh/site-functions/_villas-shmem $(DEST)/share/fish/vendor_completions.d/villas-shmem.fish \
		$(DESTDIR)$(UNITDIR)/villas-shmem@.service
	rm -rf $(DEST)/include/villas $(DEST)/share/villas-ext $(if $(PYTHONDIR),$(DESTDIR)$(PYTHONDIR)/villas_ext)

# What the tests need beside Go, gcc and make, as COMMAND:PACKAGE of Debian. As root apt installs what is missing.
TOOLS := g++:g++ clang:clang clang++:clang valgrind:valgrind cmake:cmake python3:python3 tmux:tmux pkg-config:pkg-config objdump:binutils strip:binutils readelf:binutils spin:spin $(PYTHON):python3 \
	qemu-aarch64:qemu-user aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu aarch64-linux-gnu-g++:g++-aarch64-linux-gnu
# The same for Python's modules.
MODULES := numpy:python3-numpy pytest:python3-pytest matplotlib:python3-matplotlib nbclient:python3-nbclient ipykernel:python3-ipykernel \
	ensurepip:python3-venv pip:python3-pip setuptools:python3-setuptools wheel:python3-wheel mypy:python3-mypy
NEEDED_MODULES := import importlib.util as u, sys; print(*(m.split(":")[1] for m in sys.argv[1:] if not u.find_spec(m.split(":")[0])))
needs-test:
	@missing=; for t in $(TOOLS); do command -v $${t%%:*} >/dev/null || missing="$$missing $${t##*:}"; done; \
	missing="$$missing $$($(PYTHON) -c '$(NEEDED_MODULES)' $(MODULES) 2>/dev/null || echo $(foreach m,$(MODULES),$(lastword $(subst :, ,$m))))"; \
	echo 'int main(void) { return 0; }' > $(BUILD)/probe.c; \
	$(CC) -fsanitize=thread $(BUILD)/probe.c -o $(BUILD)/probe 2>/dev/null || missing="$$missing gcc"; \
	aarch64-linux-gnu-gcc $(BUILD)/probe.c -o $(BUILD)/probe 2>/dev/null || missing="$$missing libc6-dev-arm64-cross"; \
	echo '#include <zmq.h>' | $(CC) -E - >/dev/null 2>&1 || missing="$$missing libzmq3-dev"; \
	test -z "$$(echo $$missing)" && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing; \
	else echo "for the tests install:$$missing"; exit 1; fi

needs-build:
	@command -v $(GO) >/dev/null || { echo "Go is missing: see https://go.dev/dl, version in go.mod"; exit 1; }
	@command -v $(CC) >/dev/null || { echo "$(CC) is missing: apt-get install gcc libc6-dev"; exit 1; }

clean:  ## remove build/
	rm -rf $(BUILD)

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

# The main job: a node sends a real file's samples to the C example and gets them back; then many, as fast as it goes.
LIMIT ?= 200000
run: all  ## send a real signal's samples to a C program and back, compare them, print latencies
	$(SHMEM) node etc/shmem.conf --in tests/data/mixed.villas --rate 1000 --linger 10s --out $(BUILD)/returned.villas
	@printf '\nsent:\n'; head -4 tests/data/mixed.villas; printf '\nreturned:\n'; head -4 $(BUILD)/returned.villas; echo
	$(SHMEM) compare tests/data/mixed.villas $(BUILD)/returned.villas --float32
	@echo
	$(SHMEM) gen --wave mixed --values 4 --rate 1000 --limit $(LIMIT) --fast --out $(BUILD)/sent.villas
	$(SHMEM) node etc/shmem.conf --in $(BUILD)/sent.villas --linger 10s --out $(BUILD)/returned.villas
	$(SHMEM) compare $(BUILD)/sent.villas $(BUILD)/returned.villas --float32

$(BUILD)/%: examples/%/*.c $(LIB)
	$(CC) $(CFLAGS) -Wall -Wextra -Iinclude $(filter %.c,$^) -o $@ -L$(BUILD) -lvillas-ext -Wl,-rpath,'$$ORIGIN'

# The commands are Go alone and need no C compiler.
$(COMMANDS): $(BUILD)/%: $(GO_SRC)
	@mkdir -p $(BUILD)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w -X main.version=$(VERSION)' -o $@ ./cmd/$*

man: $(SHMEM)  ## write the command's manual pages and completions into build/share
	rm -rf $(BUILD)/share
	$(SHMEM) manual $(BUILD)/share
