//! The development key: made once, kept outside of the tree, never printed.
//!
//! The file holds the 32 secret bytes in hexadecimal and is readable by its owner only. The kernel has the public half
//! compiled in, so a cell signed with another key does not load.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use image::write::SigningKey;

use crate::fail;
use crate::failure::{Context, Result};
use crate::project::hex;

/// The key of the user, made if there is none.
///
/// # Errors
/// The file cannot be read or made, is readable by others, or holds something else.
pub fn key() -> Result<SigningKey> {
    let base = match env::var_os("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env::var_os("HOME").ok_or("HOME is not set").context("no place for the signing key")?)
            .join(".config"),
    };
    key_at(&base.join("telos/signing.key"))
}

fn key_at(path: &Path) -> Result<SigningKey> {
    match fs::metadata(path) {
        Ok(about) if about.permissions().mode() & 0o077 != 0 => {
            fail!("{} is readable by others: chmod 600 it, or remove it to have a new key made", path.display())
        }
        Ok(_) => {}
        Err(cause) if cause.kind() == ErrorKind::NotFound => make(path)?,
        Err(cause) => fail!("cannot open {}: {cause}", path.display()),
    }
    let text = crate::project::read_text(path)?;
    match seed(text.trim()) {
        Some(seed) => Ok(SigningKey::from_seed(seed)),
        None => fail!("{} does not hold a key: remove it to have a new one made", path.display()),
    }
}

fn make(path: &Path) -> Result<()> {
    let mut seed = [0; 32];
    File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut seed)).context("no random bytes")?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).context(format_args!("cannot make {}", folder.display()))?;
    }
    // Two builds at once must not end with a key each.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(mut file) => writeln!(file, "{}", hex(&seed)).context(format_args!("cannot write {}", path.display())),
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(cause) => fail!("cannot make {}: {cause}", path.display()),
    }
}

fn seed(text: &str) -> Option<[u8; 32]> {
    let mut seed = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in seed.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("telos-sign-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn a_key_is_made_once_and_for_its_owner_only() {
        let folder = scratch("once");
        let path = folder.join("telos/signing.key");
        let first = key_at(&path).expect("a key is made").public();
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        assert_eq!(key_at(&path).expect("it is read again").public(), first);
        fs::remove_dir_all(folder).expect("clean up");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = scratch("mode");
        let path = folder.join("signing.key");
        key_at(&path).expect("a key is made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("change mode");
        assert!(key_at(&path).err().expect("refused").0.contains("readable by others"));
        fs::remove_dir_all(folder).expect("clean up");
    }
}
