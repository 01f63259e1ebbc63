#!/usr/bin/env bash
# Installs what a build needs and this machine lacks. Costs nothing worth naming when nothing is missing.
#
# Rust comes from rustup where rustup is present (the release in rust-toolchain.toml), otherwise from Debian.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$HOME/.cargo/bin:$PATH"

say() { echo "setup: $*"; }
has() { command -v "$1" >/dev/null 2>&1; }

# What to look for, and the Debian package that holds it.
packages=()
need() { if ! has "$1" && [ ! -e "$1" ]; then packages+=("$2"); fi; }
need qemu-system-x86_64 qemu-system-x86
need /usr/lib/grub/i386-pc grub-pc-bin
need /usr/lib/grub/x86_64-efi grub-efi-amd64-bin
need grub-mkrescue grub-common
need xorriso xorriso
need mformat mtools
need /usr/share/ovmf/OVMF.fd ovmf
need ld binutils
need make make
# Build scripts and tests on the host are linked by the C compiler.
need cc gcc

channel=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)
if has rustup; then
    # These folders are there exactly if the toolchain and its parts are; asking rustup would take longer.
    sysroot=$(rustc --print sysroot 2>/dev/null || true)
    if [ -z "$sysroot" ] || [ ! -d "$sysroot/lib/rustlib/src/rust/library" ] ||
        [ ! -d "$sysroot/lib/rustlib/x86_64-unknown-none" ] || ! rustfmt --version >/dev/null 2>&1 ||
        ! cargo clippy --version >/dev/null 2>&1; then
        say "installing Rust $channel with rustup"
        rustup toolchain install "$channel" --profile minimal --no-self-update \
            --component rust-src --component rustfmt --component clippy --target x86_64-unknown-none
    fi
else
    # Debian's Rust, of another release than the pinned one but known to work.
    need rustc rustc-web
    need cargo cargo-web
    need /usr/lib/rustlib/src/rust/library rust-web-src
fi

if [ ${#packages[@]} -gt 0 ]; then
    if ! has apt-get; then
        echo "setup: this is not Debian; install by hand what these Debian packages hold: ${packages[*]}" >&2
        exit 1
    fi
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! has sudo; then
            echo "setup: not root and no sudo; run as root: apt-get install ${packages[*]}" >&2
            exit 1
        fi
        as_root=(sudo)
    fi
    say "installing with apt-get: ${packages[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi
say "everything is there: $(rustc --version), $(qemu-system-x86_64 --version | head -n 1)"
