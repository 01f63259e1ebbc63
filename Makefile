# A thin front: the work is done by tools/telos. `make` alone lists the commands.
#
# Variables: STATE=FILE is the state file (telos_state.fs), DEMO=1 has run only read it, TIMEOUT=SECONDS gives up, ARGS="..." goes to the command.

export STATE DEMO TIMEOUT
export PATH := $(HOME)/.cargo/bin:$(PATH)

TELOS := cargo run --quiet --package telos --
COMMANDS := build run fresh test soak crash-test test-reboot bench iso gdb fmt lint doc

.PHONY: help setup push new-cell telosfs bench-objects bench-store $(COMMANDS)
.DEFAULT_GOAL := help

help:
	@echo "make setup        install what is missing"
	@echo "make build        build kernel, cells, boot archive and ISO"
	@echo "make run          boot; a script on standard input is typed line by line"
	@echo "make run DEMO=1  boot on top of a state, and throw the changes away"
	@echo "make push CELL=X  build a cell and send it to the running system, for replace X"
	@echo "make new-cell NAME=X  a small server to begin from, in cells/X"
	@echo "make telosfs ARGS=...  look into the state file without booting: log, show root, verify, ...; ARGS=--help"
	@echo "make fresh        delete the state file; make run then makes a new one"
	@echo "make test         host tests, in-kernel tests, a boot under UEFI, scenario tests"
	@echo "make soak         the tests with long counts"
	@echo "make crash-test   millions of power cuts; ARGS=\"--seed N --states N --commits N\""
	@echo "make test-reboot  the test that spans a reboot; with STATE= only its second half"
	@echo "make bench        count instructions in the emulator"
	@echo "make bench-store  time the store beside SQLite, redb and the raw disk; ARGS=\"DIRECTORY OBJECTS\""
	@echo "make bench-objects  time the object language beside Lua and CPython"
	@echo "make iso          build build/telos.iso"
	@echo "make gdb          boot halted, with gdb attached"
	@echo "make fmt lint doc format, check, document"
	@echo
	@echo "STATE=FILE state file (telos_state.fs)  TIMEOUT=SECONDS give up  ARGS=... more arguments"
	@echo
	@echo "make run says why it failed, and make prints the status behind Error: 2 halted, 3 kernel panic, 4 the system"
	@echo "could not be built, 5 TIMEOUT passed, 1 anything else."

setup:
	@bash tools/setup.sh

# Builds a cell and sends it to the system that `make run` has started in another terminal.
push: setup
	@$(TELOS) push $(CELL)

new-cell: setup
	@$(TELOS) new-cell $(NAME)

# Reads a state file without booting; never writes to it.
telosfs: setup
	@cargo run --quiet --release --package telosfs -- $(ARGS)

# On the host, in one run; lua5.4 and python3 are taken where they are installed.
bench-objects: setup
	@cargo run --quiet --release --package object_bench -- $(ARGS)

# On the host, in one run, on the disk of DIRECTORY.
bench-store: setup
	@cd tools/store_bench && cargo run --quiet --release -- $(ARGS)

$(COMMANDS): setup
	@$(TELOS) $@ $(ARGS)
