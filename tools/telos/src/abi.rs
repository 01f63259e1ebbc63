//! The kernel's surface as the builder sees it: the functions that cells may import, and their hash.
//!
//! Both come from `cells/abi/src/kernel.rs` and the files in the folder of that name. The hash leaves comments and white space out, so that words about the
//! functions can be mended without making every cell a stranger.

use std::fs;
use std::path::{Path, PathBuf};

use image::sha256;

use crate::failure::{Context, Result};
use crate::project::{Project, read_text};
use crate::scan;

/// The functions that a cell may import, and the hash of their declarations.
#[derive(Clone, Debug)]
pub struct KernelAbi {
    /// The first eight bytes of the SHA-256, little endian.
    pub hash: u64,
    /// The names of the functions.
    pub imports: Vec<String>,
}

/// Reads the declarations.
///
/// # Errors
/// There are none.
pub fn kernel_abi(project: &Project) -> Result<KernelAbi> {
    let path = project.root.join("cells/abi/src/kernel.rs");
    let mut source = read_text(&path)?;
    for part in parts(&path.with_extension(""))? {
        source.push_str(&read_text(&part)?);
    }
    let abi = parse(&source);
    if abi.imports.is_empty() {
        crate::fail!("{}: no function named telos_k_*", path.display());
    }
    Ok(abi)
}

/// The files of a folder, in order; none where there is no folder.
fn parts(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).context(folder.display())?;
    let mut parts =
        entries.map(|entry| Ok(entry.context(folder.display())?.path())).collect::<Result<Vec<PathBuf>>>()?;
    parts.sort();
    Ok(parts)
}

fn parse(source: &str) -> KernelAbi {
    let tokens: Vec<&str> = scan::tokens(source).into_iter().map(|token| token.text).collect();
    let imports = tokens
        .iter()
        .zip(tokens.iter().skip(1))
        .filter(|(before, name)| **before == "fn" && name.starts_with("telos_k_"))
        .map(|(_, name)| String::from(*name))
        .collect();
    KernelAbi { hash: short_hash(tokens.join(" ").as_bytes()), imports }
}

/// The first eight bytes of the SHA-256, little endian.
pub fn short_hash(bytes: &[u8]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = sha256(bytes);
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_do_not_change_the_hash() {
        let plain = parse("unsafe extern \"C\" { pub fn telos_k_call(a: u64); fn telos_k_exit(); }");
        let said = parse(
            "// Words.\nunsafe extern \"C\" { /* fn telos_k_no */ pub fn telos_k_call(a: u64);\nfn telos_k_exit(); }",
        );
        assert_eq!(plain.hash, said.hash);
        assert_eq!(said.imports, ["telos_k_call", "telos_k_exit"]);
    }

    #[test]
    fn another_argument_changes_the_hash() {
        assert_ne!(parse("fn telos_k_call(a: u64);").hash, parse("fn telos_k_call(a: u32);").hash);
    }
}
