# Starling: one binary, one simulator, their tests. `make help` lists what can be asked for.
#
# Every directory in ROOMS is compiled file by file; nothing is listed by hand. tests/unit and tests/trace hold
# one program per file, tests/fuzz one fuzz target per file. B is where everything built goes; ROOMS can be
# narrowed to work on a part ("make unit ROOMS='agent/mux' B=/tmp/mux").

B       ?= build
PREFIX  ?= /usr/local
CC      ?= cc
MODE    ?= release

ROOMS   ?= gossip store \
           agent/trust agent/noise agent/link agent/mux agent/http agent/policy agent/traffic agent/exchange \
           agent/observe agent/discovery agent/net agent/control agent/worker agent/admin agent/cli

PKGS    := libuv libsodium lmdb msgpack yaml-0.1 jansson
VERSION := 0.1.0

# V=1 shows every command.
Q := $(if $(V),,@)
# For targets that are typed alone: builds on every core, unless make was told how many to use.
ALL_CORES = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$$(nproc))
say = $(if $(V),,@echo "  $(1) $@")

WARN    := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith
CPPFLAGS += -D_GNU_SOURCE -DSTARLING_VERSION='"$(VERSION)"' -Iinclude -I. -Iagent
CFLAGS_release := -O2 -g
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_tsan    := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
CFLAGS_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
ALL_CFLAGS = -std=c11 $(WARN) -fstack-protector-strong -fPIE $(CFLAGS_$(MODE)) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now $(filter -fsanitize%,$(CFLAGS_$(MODE))) $(LDFLAGS)
LIBS    := -luv -lsodium -llmdb -lmsgpackc -lyaml -ljansson -lhttp_parser -lpthread -lm

SRC     := $(foreach r,$(ROOMS),$(wildcard $(r)/*.c))
OBJ     := $(SRC:%.c=$(B)/%.o)
SIM_SRC := $(wildcard sim/*.c)
SIM_LIB_SRC := $(filter-out sim/main.c,$(SIM_SRC))
SIM_OBJ := $(SIM_SRC:%.c=$(B)/%.o)
MAIN    := $(B)/agent/main.o

# A room's tests live in tests/unit/<room>_*.c; narrowing ROOMS narrows them too.
ROOM_NAMES := $(notdir $(ROOMS))
UNIT_SRC  := $(wildcard tests/unit/base_*.c) $(foreach r,$(ROOM_NAMES),$(wildcard tests/unit/$(r)_*.c)) \
             $(if $(filter gossip,$(ROOM_NAMES)),$(wildcard tests/trace/*.c))
UNIT_BIN  := $(UNIT_SRC:%.c=$(B)/%)
FUZZ_SRC  := $(foreach r,$(ROOM_NAMES),$(wildcard tests/fuzz/$(r)_*.c))
FUZZ_BIN  := $(FUZZ_SRC:%.c=$(B)/%)
TOOL_SRC  := $(wildcard tests/tools/*.c)
TOOL_BIN  := $(patsubst tests/tools/%.c,$(B)/tests/%,$(TOOL_SRC))
FUZZ_SECONDS ?= 20

# How the sanitizers speak. SANITIZED tells the end-to-end tests to wait longer, to allow more memory, and that a report of any
# process is a failure.
ifneq ($(filter asan tsan,$(MODE)),)
export SANITIZED := $(MODE)
export ASAN_OPTIONS := detect_leaks=1:detect_stack_use_after_return=1:check_initialization_order=1:strict_string_checks=1:quarantine_size_mb=64
export UBSAN_OPTIONS := print_stacktrace=1
export TSAN_OPTIONS := second_deadlock_stack=1:history_size=4
endif

.PHONY: all help deps test demo check format layering lint unit unit-bins e2e sim sim-long sim-compilers asan tsan fuzz fuzz-bins bench install clean tools
.DELETE_ON_ERROR:

all: $(B)/starling $(B)/starling-sim

help:
	@sed -n 's/^## //p' Makefile

## make            build build/starling and build/starling-sim
## make demo       install what is missing, start a small mesh on loopback and show what it does
## make test       install what is missing, then run unit, trace, simulation and end-to-end tests
## make check      format, layering, static analysis, unit tests
## make unit       unit and trace tests only
## make e2e        end-to-end tests only (needs the packages that `make deps` installs)
## make sim        simulation: the swarm and scenarios over many seeds, a minute
## make sim-long   the swarm with ever new seeds for SIM_SECONDS (an hour), until a run fails
## make sim-compilers  the same seeds, built by two compilers: the same runs
## make asan       unit, trace and end-to-end tests under AddressSanitizer and UBSan
## make tsan       unit and end-to-end tests under ThreadSanitizer
## make fuzz       every fuzz target for FUZZ_SECONDS (20) each, with clang's libFuzzer
## make bench      requests per second, latency, CPU and memory beside the bare path
## make install    install under PREFIX (/usr/local)
## make deps       install the Debian packages that building and testing need
## make clean      remove build/

deps:
	@tests/deps.sh

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC  )
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/libstarling.a: $(OBJ)
	@rm -f $@
	$(call say,AR  )
	$(Q)ar rcs $@ $(OBJ)

$(B)/libsim.a: $(SIM_LIB_SRC:%.c=$(B)/%.o)
	@rm -f $@
	$(call say,AR  )
	$(Q)ar rcs $@ $^

$(B)/starling: $(MAIN) $(B)/libstarling.a
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/starling-sim: $(B)/sim/main.o $(B)/libsim.a $(B)/libstarling.a
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# Unit and trace tests: one cmocka program per file. A test may #include its source file to reach statics; the
# archive then does not supply that object again.
$(B)/tests/unit/%: tests/unit/%.c $(B)/libstarling.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< $(B)/libstarling.a -lcmocka $(LIBS)
$(B)/tests/trace/%: tests/trace/%.c $(B)/libsim.a $(B)/libstarling.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< $(B)/libsim.a $(B)/libstarling.a -lcmocka $(LIBS)
$(B)/tests/fuzz/%: tests/fuzz/%.c $(B)/libstarling.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -fsanitize=fuzzer -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< $(B)/libstarling.a $(LIBS)
$(TOOL_BIN): $(B)/tests/%: tests/tools/%.c $(B)/libstarling.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< $(B)/libstarling.a $(LIBS)
# The example of docs/gossip.md: nothing but gossip/ and include/ under it.
$(B)/tests/gossip-example: docs/gossip-example.c $(B)/libstarling.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -D_GNU_SOURCE -Iinclude -I. $(ALL_CFLAGS) -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< $(B)/libstarling.a -lm
tools: $(TOOL_BIN) $(B)/tests/gossip-example

unit-bins: $(UNIT_BIN)
unit: $(UNIT_BIN)
	@B=$(B) tests/run-unit.sh $(UNIT_BIN)

# All three are run, whatever the first says; the last line adds them up.
test: deps
	@rm -rf $(B)/summary
	+@$(ALL_CORES) all tools unit-bins
	@status=0; for part in unit sim e2e; do $(MAKE) --no-print-directory $$part || status=1; done; \
	    B=$(B) tests/sum.sh unit sim e2e && exit $$status

sim: all
	@B=$(B) tests/run-sim.sh
sim-long: sim-compilers
	@B=$(B) tests/run-sim.sh long
sim-compilers: all
	+@B=$(B) MAKE="$(MAKE)" tests/sim-compilers.sh

e2e: all tools
	@B=$(B) tests/run-e2e.sh

demo: deps
	+@$(ALL_CORES) all tools
	@B=$(B) tests/demo.sh

check: deps format layering lint
	@$(MAKE) --no-print-directory unit

format:
	@tests/check-format.sh
layering:
	@tests/check-layering.sh
lint:
	@tests/check-lint.sh "$(CPPFLAGS)"

asan tsan:
	+@$(ALL_CORES) MODE=$@ B=$(B)/$@ all tools unit-bins
	@$(MAKE) --no-print-directory MODE=$@ B=$(B)/$@ unit e2e
fuzz-bins: $(FUZZ_BIN)
fuzz:
	+@$(ALL_CORES) MODE=fuzz CC=clang B=$(B)/fuzz fuzz-bins
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run-fuzz.sh $(B)/fuzz/tests/fuzz

bench: all tools
	@B=$(B) tests/bench/run.sh

install: all
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(B)/starling $(B)/starling-sim $(DESTDIR)$(PREFIX)/bin/

clean:
	rm -rf $(B)

-include $(OBJ:.o=.d) $(SIM_OBJ:.o=.d) $(MAIN:.o=.d) $(UNIT_BIN:=.d) $(FUZZ_BIN:=.d) $(TOOL_BIN:=.d)
