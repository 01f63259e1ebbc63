#!/usr/bin/env bash
# Installs what a build needs and this machine lacks, and says so; where nothing is missing, one line in a tenth of a second.
#
# On Debian it comes from Debian's packages; elsewhere, and where nobody may install, what is missing is named. Rust comes from rustup
# where rustup is present (the release in rust-toolchain.toml), otherwise from Debian, whose release is known to work too.
#
# SYSTEM_ROOT stands before the system's own folders; only tests set it, to the folder of a made-up machine.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$HOME/.cargo/bin:$PATH"
root=${SYSTEM_ROOT:-}

channel=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)
# The oldest release that will do is 1.$oldest.
oldest=$(sed -n 's/^rust-version *= *"1\.\([0-9]*\).*/\1/p' Cargo.toml)

say() { echo "setup: $*"; }
fail() { printf 'setup: %s\n' "$@" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# Notes as missing what is neither a program nor a file: its name, and the Debian package that holds it.
need() { if ! has "$1" && [ ! -e "$root$1" ]; then lack "$1" "$2"; fi; }
lack() { missing+=("$1"); packages+=("${@:2}"); }

# Fills `missing` and `packages`; what rustup sees to is not among them.
look() {
    missing=()
    packages=()
    found=
    need qemu-system-x86_64 qemu-system-x86
    need /usr/lib/grub/i386-pc grub-pc-bin
    need /usr/lib/grub/x86_64-efi grub-efi-amd64-bin
    need grub-mkrescue grub-common
    need xorriso xorriso
    need mformat mtools
    need /usr/share/ovmf/OVMF.fd ovmf
    need ld binutils
    # Build scripts and tests on the host are linked by the C compiler, against the C library.
    need cc gcc
    if ! has cc || [ "$(cc -print-file-name=crt1.o)" = crt1.o ]; then lack "the C library's crt1.o" libc6-dev; fi
    # Crates are downloaded over TLS.
    if [ -e "$root/etc/debian_version" ]; then need /etc/ssl/certs/ca-certificates.crt ca-certificates; fi
    if ! has rustup && ! rust_fits; then
        lack "Rust 1.$oldest or newer with cargo and the library's sources (rust-src)" rustc-web cargo-web rust-web-src
    fi
}

# Whether the Rust on this machine, which is not rustup's, can build TelOS. Sets `found` to what calls itself rustc.
rust_fits() {
    has rustc || return 1
    found=$(rustc --version)
    local minor=${found#rustc 1.}
    minor=${minor%%.*}
    [[ $minor =~ ^[0-9]+$ ]] && [ "$minor" -ge "$oldest" ] && has cargo && has_parts lib/rustlib/src/rust/library
}

# Whether the folder of the compiler in use holds all of these.
has_parts() {
    local folder part
    # An old rustup would take the question for a reason to install.
    folder=$(RUSTUP_AUTO_INSTALL=0 rustc --print sysroot 2>/dev/null) || return 1
    for part; do [ -e "$folder/$part" ] || return 1; done
}

install_packages() {
    local names=${packages[*]} as_root=()
    if ! has apt-get || ! grep -qsx 'ID=debian' "$root/etc/os-release"; then
        fail "this is not Debian, where this script could install what is missing. Please install:" \
            "${missing[@]/#/  }" "In Debian these are the packages $names."
    fi
    if [ "$(id -u)" -ne 0 ]; then
        has sudo || fail "installing takes root's rights, and there is no sudo. As root:" \
            "  apt-get update && apt-get install $names"
        as_root=(sudo)
    fi
    [ -z "$found" ] || [[ $names != *rustc-web* ]] || say "too old, or without cargo or sources: $found"
    say "installing with apt-get, which takes minutes: $names"
    # A script on standard input is for the machine that boots later.
    { "${as_root[@]}" apt-get update -qq &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            "${packages[@]}"; } </dev/null >/dev/null || fail "apt-get could not install them: see above"
    hash -r
    look
    [ ${#missing[@]} -gt 0 ] || return 0
    local advice=()
    if [ -n "$found" ]; then
        advice=("There is $found, in $(command -v rustc)."
            "Debian 12 has a new enough one among its security updates: does apt know of them? Rustup will do, too.")
    fi
    fail "still missing after apt-get:" "${missing[@]/#/  }" "${advice[@]}"
}

look
if [ ${#packages[@]} -gt 0 ]; then install_packages; fi

parts=(lib/rustlib/src/rust/library lib/rustlib/x86_64-unknown-none bin/rustfmt bin/cargo-clippy)
if has rustup && ! has_parts "${parts[@]}"; then
    say "installing Rust $channel with rustup"
    rustup toolchain install "$channel" --profile minimal --no-self-update --component rust-src --component rustfmt \
        --component clippy --target x86_64-unknown-none </dev/null || fail "rustup could not install Rust $channel: see above"
fi
version=$(qemu-system-x86_64 --version)
say "everything is there: $(rustc --version), ${version%%$'\n'*}"
