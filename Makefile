# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Makefile - builds build/poolfs from the three floors, and runs its tests.
# For people: `make run` and `make check` do all the set-up themselves (as root
# they install missing Debian packages, else they say which). `make` alone
# builds with what is there. It generates no code and configures nothing.
#
#   make run                          try it: mounts ./pools until Ctrl-C
#   make check [CASES='rm-r layers']  all tests, or some cases
#   make check SANITIZE=address,undefined
#   make soak [SOAK_SECONDS=1800] [CASES=fsx]   the long ones
#   make CC=clang BUILD=build/clang WERROR=-Werror

VERSION := 0.1.0

prefix  = /usr/local
bindir  = $(prefix)/bin
mandir  = $(prefix)/share/man
docdir  = $(prefix)/share/doc/poolfs
CFLAGS ?= -O2 -g
WERROR  =

# A sanitized build is a variant of its own beside the plain one.
SANITIZE =
comma   := ,
BUILD    = build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))
HARDEN   = -fPIE -fstack-protector-strong $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2)
SANFLAGS = $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer)

LIBS      := fuse3 libxml-2.0
LIBCFLAGS := $(shell pkg-config --cflags $(LIBS) 2>/dev/null)
LIBLIBS   := $(shell pkg-config --libs $(LIBS) 2>/dev/null)

ALL_CPPFLAGS = -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DPOOLFS_VERSION='"$(VERSION)"' \
	       $(LIBCFLAGS) $(CPPFLAGS)
ALL_CFLAGS   = -std=gnu11 -Wall -Wextra $(WERROR) -pthread $(HARDEN) $(SANFLAGS) $(CFLAGS)
ALL_LDFLAGS  = -pie -Wl,-z,relro,-z,now -pthread $(SANFLAGS) $(LDFLAGS)

SOURCES := $(wildcard fs/*.c control/*.c backends/*.c)
OBJECTS  = $(SOURCES:%.c=$(BUILD)/%.o)
UNITS    = $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*.c))
TOOLS    = $(patsubst %.c,$(BUILD)/%,$(wildcard tests/tools/*.c))
FUZZERS  = $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/*.c))
# V=1 shows the commands.
quiet    = $(if $(V),,@echo "  $1 $2"; )
JOBS     = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

all: $(BUILD)/poolfs

$(BUILD)/poolfs: $(OBJECTS)
	$(call quiet,LINK,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBLIBS)

# Unit tests take from the archive only what they use. The archive is made
# anew each time, since ar keeps members whose source is gone.
$(BUILD)/poolfs.a: $(filter-out $(BUILD)/fs/main.o,$(OBJECTS))
	@rm -f $@
	@$(AR) rcs $@ $^

$(BUILD)/%.o: %.c Makefile | need-libs
	@mkdir -p $(@D)
	$(call quiet,CC,$<)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(UNITS): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/poolfs.a
	$(call quiet,LINK,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBLIBS) -lcmocka

$(TOOLS): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/poolfs.a
	$(call quiet,LINK,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBLIBS)

$(FUZZERS): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/poolfs.a
	$(call quiet,LINK,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBLIBS)

need-libs:
	@pkg-config --exists $(LIBS) || { \
		echo "missing: $(LIBS): run 'tests/deps build' as root" >&2; exit 1; }

test-programs: all $(UNITS) $(TOOLS)
fuzz-programs: $(FUZZERS) $(addprefix $(BUILD)/tests/tools/,image-probe image-make)

# The set-up goes first, in a make of its own, since it may install the compiler.
run:
	@tests/deps build
	+@$(MAKE) --no-print-directory $(JOBS) all
	@tests/demo $(BUILD)/poolfs

check:
	@tests/deps build check
	+@$(MAKE) --no-print-directory $(JOBS) test-programs
	@tests/run $(BUILD) $(CASES)

unit:
	@tests/deps build check
	+@$(MAKE) --no-print-directory $(JOBS) test-programs
	@tests/run $(BUILD) unit

bench:
	@tests/deps build bench
	+@$(MAKE) --no-print-directory $(JOBS) test-programs
	tests/bench/run $(BUILD)

soak:
	@tests/deps build check
	+@$(MAKE) --no-print-directory $(JOBS) test-programs
	tests/soak/run $(BUILD) $(CASES)

# FUZZ_SECONDS=900 make fuzz CASES='image-qcow pool-xml'
fuzz:
	@tests/deps build fuzz
	+@$(MAKE) --no-print-directory $(JOBS) fuzz-programs CC=clang BUILD=$(BUILD)/fuzz \
		SANITIZE=address,undefined CPPFLAGS=-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION \
		CFLAGS='-O1 -g -fsanitize=fuzzer-no-link -fno-sanitize-recover=all'
	@tests/fuzz/run $(BUILD)/fuzz $(CASES)

install: all
	install -D -m 755 $(BUILD)/poolfs $(DESTDIR)$(bindir)/poolfs
	for page in docs/*.[1-8]; do \
		install -D -m 644 "$$page" "$(DESTDIR)$(mandir)/man$${page##*.}/$${page##*/}" || exit 1; \
	done
	install -d $(DESTDIR)$(docdir)
	install -m 644 README.md LICENSE docs/*.md $(DESTDIR)$(docdir)

clean:
	rm -rf build

.PHONY: all need-libs test-programs fuzz-programs run check unit bench soak fuzz install clean
.SECONDARY:
-include $(OBJECTS:.o=.d) $(UNITS:=.d) $(TOOLS:=.d) $(FUZZERS:=.d)
