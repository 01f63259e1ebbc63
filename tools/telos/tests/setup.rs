//! `tools/setup.sh` on made-up machines: which machine gets what, from whom, and what the others are told.
//!
//! A machine is a folder with the system's files and the only programs on the PATH: a few real ones that the script is made
//! of, and stubs. Each package is a folder that the stub of `apt-get` copies into the machine; it notes what it was asked for.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is one")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release of Debian's `rustc-web` that will do.
const FIT: &str = "1.96.0";
/// What a bare Debian lacks on the way without rustup.
const BARE: &str = "qemu-system-x86 grub-pc-bin grub-efi-amd64-bin grub-common xorriso mtools ovmf binutils gcc libc6-dev \
                    ca-certificates rustc-web cargo-web rust-web-src";
/// The parts of rustup's toolchain that the script looks for.
const PARTS: [&str; 4] =
    ["lib/rustlib/src/rust/library/x", "lib/rustlib/x86_64-unknown-none/x", "bin/rustfmt", "bin/cargo-clippy"];

struct Machine {
    root: PathBuf,
}

struct Said {
    success: bool,
    out: String,
    errors: String,
    /// What apt-get and rustup were asked for, a call a line.
    calls: String,
}

impl Machine {
    /// A Debian with nothing but the script's own needs, whose `rustc-web` is of the given release.
    fn bare(name: &str, debian_rust: &str) -> Machine {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("setup").join(name);
        let _ = fs::remove_dir_all(&root);
        let machine = Machine { root };
        for basic in ["bash", "sed", "dirname", "grep", "cat", "cp", "env"] {
            let real =
                ["/usr/bin", "/bin"].iter().map(|folder| Path::new(folder).join(basic)).find(|path| path.exists());
            let link = machine.root.join("usr/bin").join(basic);
            fs::create_dir_all(link.parent().expect("a folder")).expect("made");
            std::os::unix::fs::symlink(real.expect(basic), link).expect("linked");
        }
        machine.program("usr/bin/id", "echo ${STUB_UID:-0}");
        machine.program(
            "usr/bin/apt-get",
            "echo apt-get \"$@\" >>\"$STUB_ROOT/calls\"
             for each; do [ ! -d \"$STUB_ROOT/packages/$each\" ] || cp -r \"$STUB_ROOT/packages/$each/.\" \"$STUB_ROOT\"; done",
        );
        machine.file("etc/os-release", "NAME=\"Debian GNU/Linux\"\nID=debian\n");
        machine.file("etc/debian_version", "12.11\n");
        for (package, path) in [
            ("qemu-system-x86", "usr/bin/qemu-system-x86_64"),
            ("grub-pc-bin", "usr/lib/grub/i386-pc/x"),
            ("grub-efi-amd64-bin", "usr/lib/grub/x86_64-efi/x"),
            ("grub-common", "usr/bin/grub-mkrescue"),
            ("xorriso", "usr/bin/xorriso"),
            ("mtools", "usr/bin/mformat"),
            ("ovmf", "usr/share/ovmf/OVMF.fd"),
            ("binutils", "usr/bin/ld"),
            ("libc6-dev", "usr/lib/crt1.o"),
            ("ca-certificates", "etc/ssl/certs/ca-certificates.crt"),
            ("cargo-web", "usr/bin/cargo"),
            ("rust-web-src", "usr/lib/rustlib/src/rust/library/x"),
        ] {
            machine.program(&format!("packages/{package}/{path}"), "echo version 7.2");
        }
        machine.program(
            "packages/gcc/usr/bin/cc",
            "if [ -e \"$STUB_ROOT/usr/lib/crt1.o\" ]; then echo \"$STUB_ROOT/usr/lib/crt1.o\"; else echo crt1.o; fi",
        );
        machine.rustc("packages/rustc-web/usr", "usr", debian_rust);
        machine
    }

    /// The same with every package that a build needs.
    fn complete(name: &str) -> Machine {
        let machine = Machine::bare(name, FIT);
        machine.install(BARE);
        machine
    }

    fn install(&self, packages: &str) {
        let status = Command::new(self.root.join("usr/bin/apt-get"))
            .args(packages.split_whitespace())
            .env("STUB_ROOT", &self.root)
            .status();
        assert!(status.expect("apt-get's stub").success());
        fs::remove_file(self.root.join("calls")).expect("forgotten");
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn program(&self, path: &str, script: &str) {
        self.file(path, &format!("#!/bin/bash\n{script}\n"));
        fs::set_permissions(self.root.join(path), fs::Permissions::from_mode(0o755)).expect("executable");
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.root.join(path)).expect(path);
    }

    /// A compiler in `folder` that names `sysroot` its own.
    fn rustc(&self, folder: &str, sysroot: &str, release: &str) {
        let script = format!(
            "if [ \"$1\" = --version ]; then echo 'rustc {release} (a date)'; else echo \"$STUB_ROOT/{sysroot}\"; fi"
        );
        self.program(&format!("{folder}/bin/rustc"), &script);
    }

    /// A rustup without a toolchain: its compiler names a folder that is not there before `toolchain install`.
    fn rustup(&self) {
        self.rustc("home/.cargo", "toolchain", "1.95.0");
        self.program("home/.cargo/bin/cargo", "true");
        for part in PARTS {
            self.file(&format!("parts/{part}"), "");
        }
        self.file("toolchain/empty", "");
        self.program(
            "home/.cargo/bin/rustup",
            "echo rustup \"$@\" >>\"$STUB_ROOT/calls\"\ncp -r \"$STUB_ROOT/parts/.\" \"$STUB_ROOT/toolchain\"",
        );
    }

    fn setup(&self) -> Said {
        self.setup_as("0")
    }

    fn setup_as(&self, uid: &str) -> Said {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../setup.sh");
        let done = Command::new("/bin/bash")
            .arg(script)
            .env_clear()
            .env("HOME", self.root.join("home"))
            .env("PATH", self.root.join("usr/bin"))
            .env("SYSTEM_ROOT", &self.root)
            .env("STUB_ROOT", &self.root)
            .env("STUB_UID", uid)
            .output()
            .expect("bash");
        Said {
            success: done.status.success(),
            out: String::from_utf8_lossy(&done.stdout).into_owned(),
            errors: String::from_utf8_lossy(&done.stderr).into_owned(),
            calls: fs::read_to_string(self.root.join("calls")).unwrap_or_default(),
        }
    }
}

impl Said {
    #[track_caller]
    fn succeeded(&self) -> &Said {
        assert!(self.success && self.errors.is_empty(), "{}{}", self.out, self.errors);
        assert!(self.out.contains("setup: everything is there: rustc 1.9"), "{}", self.out);
        self
    }

    #[track_caller]
    fn failed_with(&self, words: &[&str]) {
        assert!(!self.success, "it was to fail\n{}", self.out);
        for word in words {
            assert!(self.errors.contains(word), "no {word:?} in\n{}", self.errors);
        }
    }
}

/// How `apt-get` is asked for packages.
fn installed(packages: &str) -> String {
    format!("apt-get update -qq\napt-get install -y -qq --no-install-recommends {packages}\n")
}

#[test]
fn a_bare_debian_gets_packages_and_debians_rust() {
    let machine = Machine::bare("bare", FIT);
    let said = machine.setup();
    assert_eq!(said.succeeded().calls, installed(BARE));
    assert!(said.out.contains("installing with apt-get"), "{}", said.out);
    machine.remove("calls");
    assert_eq!(machine.setup().succeeded().calls, "", "the second time there is nothing to do");
}

#[test]
fn what_alone_is_missing_is_installed_alone() {
    for (path, package) in [
        ("usr/bin/xorriso", "xorriso"),
        ("usr/lib/crt1.o", "libc6-dev"),
        ("etc/ssl/certs/ca-certificates.crt", "ca-certificates"),
    ] {
        let machine = Machine::complete(&format!("lacks-{package}"));
        machine.remove(path);
        assert_eq!(machine.setup().succeeded().calls, installed(package));
    }
}

#[test]
fn rustup_is_taken_where_it_is() {
    let machine = Machine::complete("rustup");
    for debians in ["usr/bin/rustc", "usr/bin/cargo", "usr/lib/rustlib/src/rust/library/x"] {
        machine.remove(debians);
    }
    machine.rustup();
    let said = machine.setup();
    let calls = &said.succeeded().calls;
    assert!(calls.starts_with("rustup toolchain install 1."), "{calls}");
    assert!(calls.contains("--component rust-src") && calls.contains("--target x86_64-unknown-none"), "{calls}");
    assert_eq!(calls.lines().count(), 1, "{calls}");
    machine.remove("calls");
    assert_eq!(machine.setup().succeeded().calls, "", "the second time there is nothing to do");
    machine.remove("toolchain/bin/rustfmt");
    assert!(machine.setup().succeeded().calls.starts_with("rustup toolchain install"), "a part went away");
}

#[test]
fn a_rustup_that_cannot_install_is_no_success() {
    let machine = Machine::complete("rustup-offline");
    machine.rustup();
    machine.program("home/.cargo/bin/rustup", "exit 1");
    machine.setup().failed_with(&["rustup could not install Rust 1."]);
}

#[test]
fn an_old_rust_of_debians_is_replaced_and_named() {
    let machine = Machine::complete("old");
    machine.rustc("usr", "usr", "1.63.0");
    let said = machine.setup();
    assert_eq!(said.succeeded().calls, installed("rustc-web cargo-web rust-web-src"));
    assert!(said.out.contains("rustc 1.63.0"), "{}", said.out);
}

#[test]
fn a_rust_without_sources_is_completed() {
    let machine = Machine::complete("sourceless");
    fs::remove_dir_all(machine.root.join("usr/lib/rustlib")).expect("removed");
    assert_eq!(machine.setup().succeeded().calls, installed("rustc-web cargo-web rust-web-src"));
}

#[test]
fn a_debian_without_security_updates_is_told_so() {
    let machine = Machine::bare("insecure", "1.85.0");
    machine.setup().failed_with(&["still missing", "Rust 1.95 or newer", "rustc 1.85.0", "security updates"]);
}

#[test]
fn elsewhere_the_missing_tools_are_named() {
    for (name, path, text) in
        [("ubuntu", "etc/os-release", "ID=ubuntu\nID_LIKE=debian\n"), ("arch", "usr/bin/apt-get", "")]
    {
        let machine = Machine::complete(name);
        machine.remove(path);
        if !text.is_empty() {
            machine.file(path, text);
        }
        machine.remove("usr/bin/xorriso");
        machine.remove("usr/share/ovmf/OVMF.fd");
        machine.remove("usr/bin/rustc");
        let said = machine.setup();
        said.failed_with(&[
            "not Debian",
            "  xorriso\n",
            "  /usr/share/ovmf/OVMF.fd\n",
            "  Rust 1.95 or newer",
            "rustc-web",
        ]);
        assert!(!said.errors.contains("qemu") && said.calls.is_empty(), "{}{}", said.errors, said.calls);
    }
}

#[test]
fn elsewhere_nothing_is_asked_of_a_complete_machine() {
    let machine = Machine::complete("elsewhere");
    for path in ["etc/debian_version", "etc/os-release", "usr/bin/apt-get", "etc/ssl/certs/ca-certificates.crt"] {
        machine.remove(path);
    }
    assert_eq!(machine.setup().succeeded().calls, "");
}

#[test]
fn who_is_not_root_needs_sudo() {
    let machine = Machine::complete("user");
    machine.remove("usr/bin/xorriso");
    let said = machine.setup_as("1000");
    said.failed_with(&["root's rights", "no sudo", "apt-get update && apt-get install xorriso"]);
    assert_eq!(said.calls, "");
    machine.program("usr/bin/sudo", "echo sudo >>\"$STUB_ROOT/calls\"\n\"$@\"");
    let said = machine.setup_as("1000");
    let words: Vec<&str> =
        said.succeeded().calls.lines().map(|line| line.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(words, ["sudo", "apt-get", "sudo", "apt-get"]);
}

#[test]
fn a_package_manager_that_fails_is_no_success() {
    let machine = Machine::complete("offline");
    machine.remove("usr/bin/xorriso");
    machine.program("usr/bin/apt-get", "exit 100");
    machine.setup().failed_with(&["apt-get could not install"]);
}
