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
#   make install [prefix=/usr] [DESTDIR=/tmp/root], make uninstall

VERSION := 0.1.0

prefix  = /usr/local
bindir  = $(prefix)/bin
libdir  = $(prefix)/lib
mandir  = $(prefix)/share/man
docdir  = $(prefix)/share/doc/poolfs
unitdir     = $(prefix)/lib/systemd/system
userunitdir = $(prefix)/lib/systemd/user
completionsdir = $(prefix)/share/bash-completion/completions
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
	       -DPOOLFS_LIBDIR='"$(libdir)"' \
	       $(LIBCFLAGS) $(CPPFLAGS)
ALL_CFLAGS   = -std=gnu11 -Wall -Wextra $(WERROR) -pthread $(HARDEN) $(SANFLAGS) $(CFLAGS)
ALL_LDFLAGS  = -pie -Wl,-z,relro,-z,now -pthread $(SANFLAGS) $(LDFLAGS)

# The driver for rbd is a module, made where Ceph's headers and libraries are: the
# program itself needs none of them.
RBD     := $(wildcard backends/rbd*.c)
HAS_RBD := $(shell printf '\043include <rbd/librbd.h>\nint main(void) { return !rbd_version; }' | \
	     $(CC) $(CPPFLAGS) -x c - -o /dev/null -lrbd -lrados 2>/dev/null && echo yes)
MODULES  = $(if $(RBD),$(if $(HAS_RBD),$(BUILD)/backends/rbd.so))

SOURCES := $(filter-out $(RBD),$(wildcard fs/*.c control/*.c backends/*.c))
OBJECTS  = $(SOURCES:%.c=$(BUILD)/%.o)
UNITS    = $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*.c))
TOOLS    = $(patsubst %.c,$(BUILD)/%,$(wildcard tests/tools/*.c))
FUZZERS  = $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/*.c))
# V=1 shows the commands.
quiet    = $(if $(V),,@echo "  $1 $2"; )
JOBS     = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

all: $(BUILD)/poolfs $(MODULES)

# Modules see the functions in module.syms, and nothing else of the program.
$(BUILD)/poolfs: $(OBJECTS) backends/module.syms
	$(call quiet,LINK,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) \
		-Wl,--dynamic-list=backends/module.syms -o $@ $(OBJECTS) $(LIBLIBS)

$(BUILD)/backends/rbd.so: $(RBD:%.c=$(BUILD)/%.o)
	$(call quiet,LINK,$@)$(CC) $(ALL_CFLAGS) $(filter-out -pie,$(ALL_LDFLAGS)) -shared \
		-o $@ $^ -lrbd -lrados

$(RBD:%.c=$(BUILD)/%.o): HARDEN += -fPIC

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
	@tests/deps build check soak
	+@$(MAKE) --no-print-directory $(JOBS) test-programs
	tests/soak/run $(BUILD) $(CASES)

# FUZZ_SECONDS=900 make fuzz CASES='image-qcow pool-xml'
fuzz:
	@tests/deps build fuzz
	+@$(MAKE) --no-print-directory $(JOBS) fuzz-programs CC=clang BUILD=$(BUILD)/fuzz \
		SANITIZE=address,undefined CPPFLAGS=-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION \
		CFLAGS='-O1 -g -fsanitize=fuzzer-no-link -fno-sanitize-recover=all'
	@tests/fuzz/run $(BUILD)/fuzz $(CASES)

# What is installed, each with its mode and place; uninstall removes just these.
PAGES     := $(wildcard docs/*.[1-8])
DOCS      := README.md LICENSE $(wildcard docs/*.md)
INSTALLED  = $(bindir)/poolfs $(unitdir)/poolfs.service $(userunitdir)/poolfs.service \
	     $(completionsdir)/poolfs $(addprefix $(docdir)/,$(notdir $(DOCS))) \
	     $(foreach p,$(PAGES),$(mandir)/man$(subst .,,$(suffix $(p)))/$(notdir $(p))) \
	     $(if $(RBD),$(libdir)/poolfs/rbd.so)

install: all
	install -D -m 755 $(BUILD)/poolfs $(DESTDIR)$(bindir)/poolfs
	$(if $(MODULES),install -D -m 644 -t $(DESTDIR)$(libdir)/poolfs $(MODULES))
	for page in $(PAGES); do \
		install -D -m 644 "$$page" "$(DESTDIR)$(mandir)/man$${page##*.}/$${page##*/}" || exit 1; \
	done
	install -d $(DESTDIR)$(unitdir) $(DESTDIR)$(userunitdir)
	sed 's,^ExecStart=/usr/local/bin/,ExecStart=$(bindir)/,' docs/systemd/poolfs.service \
		>$(DESTDIR)$(unitdir)/poolfs.service
	sed 's,^ExecStart=/usr/local/bin/,ExecStart=$(bindir)/,' docs/systemd/poolfs-user.service \
		>$(DESTDIR)$(userunitdir)/poolfs.service
	chmod 644 $(DESTDIR)$(unitdir)/poolfs.service $(DESTDIR)$(userunitdir)/poolfs.service
	install -D -m 644 docs/poolfs.bash $(DESTDIR)$(completionsdir)/poolfs
	install -D -m 644 -t $(DESTDIR)$(docdir) $(DOCS)

# Definitions, secrets and volumes stay.
uninstall:
	rm -f $(addprefix $(DESTDIR),$(INSTALLED))
	-rmdir $(DESTDIR)$(docdir) $(DESTDIR)$(libdir)/poolfs 2>/dev/null

clean:
	rm -rf build

.PHONY: all need-libs test-programs fuzz-programs run check unit bench soak fuzz install uninstall clean
.SECONDARY:
-include $(OBJECTS:.o=.d) $(RBD:%.c=$(BUILD)/%.d) $(UNITS:=.d) $(TOOLS:=.d) $(FUZZERS:=.d)
