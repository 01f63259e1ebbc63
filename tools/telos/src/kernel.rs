//! Building the kernel: one static ELF with the public key and the ABI's hash compiled in.

use object::{Object, ObjectSymbol};

use crate::abi::kernel_abi;
use crate::config::{Cell, boot_set};
use crate::fail;
use crate::failure::{Context, Result};
use crate::project::{Project, hex, read, write};
use crate::sign;
use crate::toolchain::{TARGET, cargo_build, kernel_flags, run};
use crate::workspace::package;

/// Builds `build/kernel.elf`.
///
/// # Errors
/// The compiler says no; it has said why.
pub fn build(project: &Project) -> Result<()> {
    let target = project.target.join("kernel");
    let mut command = cargo_build(&project.root, &target, &kernel_flags(project)?);
    command.args(["-p", "nucleus", "--quiet"]);
    command.env("TELOS_PUBLIC_KEY", hex(&sign::key()?.public()));
    command.env("TELOS_KERNEL_ABI", format!("{:016x}", kernel_abi(project)?.hash));
    run(&mut command)?;
    write(&project.build.join("kernel.elf"), &read(&target.join(TARGET).join("release/nucleus"))?)
}

/// Checks that the kernel has no symbol of a cell: they are loaded at run time, and nothing else.
///
/// # Errors
/// Names the symbols.
pub fn check_symbols(project: &Project) -> Result<()> {
    let path = project.build.join("kernel.elf");
    let bytes = read(&path)?;
    let elf = object::File::parse(bytes.as_slice()).context(path.display())?;
    let crate_of = |cell: Cell| Ok(package(project, &cell.path)?.name.replace('-', "_"));
    let cells: Vec<String> = boot_set(project)?.into_iter().map(crate_of).collect::<Result<_>>()?;
    let names: Vec<String> = elf.symbols().filter_map(|symbol| symbol.name().ok().map(demangled)).collect();
    match names.iter().filter(|name| is_of_a_cell(name, &cells)).collect::<Vec<_>>().as_slice() {
        [] if names.is_empty() => fail!("{} has no symbols at all, so that nothing can be told", path.display()),
        [] => Ok(()),
        found => fail!("{} has symbols of cells: {found:?}", path.display()),
    }
}

fn demangled(name: &str) -> String {
    rustc_demangle::demangle(name).to_string()
}

/// Whether a symbol's name has a crate of a cell in it: the compiler writes a crate's name with its hash behind, a module's
/// without.
fn is_of_a_cell(name: &str, cells: &[String]) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    cells.iter().any(|cell| {
        let root = format!("{cell}[");
        name.match_indices(&root).any(|(place, _)| !name.get(..place).unwrap_or_default().ends_with(is_part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_cells_are_told_from_modules_of_their_names() {
        let cells = ["memory".into(), "shell".into()];
        // `<core::option::Option<nucleus::memory::Frames>>::take` and its like.
        assert!(!is_of_a_cell("nucleus[4a1b]::memory::install", &cells));
        assert!(!is_of_a_cell("my_shell[4a1b]::run", &cells));
        assert!(is_of_a_cell("<core[1f]::option::Option<shell[77]::Session>>::take", &cells));
        let mangled = "_RNvNtCs9iT3ckmUYYz_5shell7session3run";
        assert!(is_of_a_cell(&demangled(mangled), &cells), "{}", demangled(mangled));
    }
}
