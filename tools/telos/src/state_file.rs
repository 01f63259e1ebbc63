//! State files as the host sees them: what one holds, whether a machine has it open, and how it is deleted.
//!
//! Nothing here writes to a state file. Only [`delete`] removes one, and only where it is sure that it is one.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::{Command, Stdio};

use object_store::{BlockDevice, DeviceError, DeviceState, FileStorage, SECTOR};

use crate::fail;
use crate::failure::{Context, Result};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Zeros alone, or nothing: a state file that was never booted.
    Zeros,
    /// A state of any version, whole or damaged, or the beginning of one.
    State,
    /// Something else.
    Foreign,
}

/// A file as a disk. A last partial sector is left out, as QEMU's guests do not see it either.
#[derive(Debug)]
pub struct FileDevice {
    file: File,
    sectors: u64,
}

impl FileDevice {
    /// The disk in a file.
    ///
    /// # Errors
    /// Its size cannot be told.
    pub fn new(file: File) -> std::io::Result<FileDevice> {
        let sectors = file.metadata()?.len() / SECTOR as u64;
        Ok(FileDevice { file, sectors })
    }
}

fn offset(sector: u64) -> std::result::Result<u64, DeviceError> {
    sector.checked_mul(SECTOR as u64).ok_or(DeviceError::OutOfRange)
}

impl BlockDevice for FileDevice {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> std::result::Result<(), DeviceError> {
        self.file.read_exact_at(buffer, offset(sector)?).map_err(|_| DeviceError::Failed)
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> std::result::Result<(), DeviceError> {
        self.file.write_all_at(data, offset(sector)?).map_err(|_| DeviceError::Failed)
    }

    fn flush(&mut self) -> std::result::Result<(), DeviceError> {
        self.file.sync_data().map_err(|_| DeviceError::Failed)
    }
}

/// Tells what a file holds.
///
/// # Errors
/// It cannot be read.
pub fn content(path: &Path) -> Result<Content> {
    let file = File::open(path).context(path.display())?;
    let mut device = FileDevice::new(file).context(path.display())?;
    match FileStorage::probe(&mut device) {
        Ok(DeviceState::Foreign) => Ok(Content::Foreign),
        Ok(DeviceState::Blank) if is_zero(path)? => Ok(Content::Zeros),
        Ok(DeviceState::Blank) => Ok(Content::Foreign),
        Ok(
            DeviceState::HalfFormatted
            | DeviceState::Valid
            | DeviceState::WrongVersion { .. }
            | DeviceState::UnknownFeatures(_)
            | DeviceState::NoRoot,
        ) => Ok(Content::State),
        Err(error) => fail!("{} cannot be read: {error:?}", path.display()),
    }
}

fn is_zero(path: &Path) -> Result<bool> {
    let mut file = File::open(path).context(path.display())?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).context(path.display())? {
            0 => return Ok(true),
            length if buffer.iter().take(length).all(|byte| *byte == 0) => {}
            _ => return Ok(false),
        }
    }
}

/// Refuses to boot on a file that holds something else. The system itself refuses such a disk too; here the file has a name.
///
/// # Errors
/// It holds something else, or cannot be read.
pub fn check(path: &Path) -> Result<()> {
    if path.is_file() && content(path)? == Content::Foreign {
        fail!(
            "{0} holds something else than a TelOS state, and is left as it is; name another file \
             (STATE=other.fs make run), or move {0} away",
            path.display()
        );
    }
    Ok(())
}

/// Deletes a state file, and answers what was done.
///
/// # Errors
/// It is none, or a machine has it open: then it is left as it is.
pub fn delete(path: &Path) -> Result<String> {
    let shown = path.display();
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(cause) if cause.kind() == ErrorKind::NotFound => {
            return Ok(format!("there is no {shown}: nothing to delete"));
        }
        Err(cause) => fail!("{shown}: {cause}"),
    };
    if !metadata.is_file() {
        fail!("{shown} is no regular file, and is left as it is; STATE=FILE names the state file itself");
    }
    if content(path)? == Content::Foreign {
        fail!(
            "{shown} holds something else than a TelOS state, and is left as it is; STATE=FILE names another file, \
             and `rm` deletes this one if nothing in it matters"
        );
    }
    if is_open_in_qemu(path)? {
        fail!("a machine in QEMU has {shown} open, and it is left as it is; end that machine (`shutdown`) first");
    }
    fs::remove_file(path).context(format_args!("cannot delete {shown}"))?;
    // Blocks are counted in 512 bytes, whatever the file system uses (stat(2)).
    let (size, taken) = (metadata.len(), metadata.blocks() * 512);
    Ok(format!("deleted {shown}: {size} bytes, of which {taken} were on the disk"))
}

/// A machine that is stopped before its first instruction: it opens the file as every machine does, and changes nothing. Its
/// monitor is on its standard streams.
fn stopped_machine(path: &Path) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-machine", "pc,accel=tcg", "-m", "16", "-nodefaults", "-display", "none", "-S"]);
    let file = path.display().to_string().replace(',', ",,");
    command.args(["-monitor", "stdio", "-drive"]).arg(format!("id=p_disk,if=none,format=raw,file={file}"));
    command.args(["-device", "virtio-blk-pci,drive=p_disk"]);
    command
}

/// Whether a QEMU holds its lock on the file: asked of another one, which would need it too.
fn is_open_in_qemu(path: &Path) -> Result<bool> {
    let mut command = stopped_machine(path);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start qemu-system-x86_64; try `make setup`")?;
    if let Some(mut monitor) = child.stdin.take() {
        // One that could not open the file has ended already.
        let _ = monitor.write_all(b"quit\n");
    }
    let done = child.wait_with_output().context("QEMU")?;
    let said = String::from_utf8_lossy(&done.stderr);
    match done.status.success() {
        true => Ok(false),
        false if said.contains("lock") => Ok(true),
        false => fail!("QEMU does not open {}: {}", path.display(), said.trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::FormatOptions;
    use std::io::{BufRead, BufReader};
    use std::path::PathBuf;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let folder = std::env::temp_dir().join(format!("telos-state-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).expect("a folder");
            Folder(folder)
        }

        fn file(&self, bytes: &[u8]) -> PathBuf {
            let path = self.0.join("s.fs");
            fs::write(&path, bytes).expect("written");
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn formatted(path: &Path) {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path).expect("made");
        file.set_len(64 << 20).expect("sized");
        let mut device = FileDevice::new(file).expect("a device");
        FileStorage::format(&mut device, [7; 16], FormatOptions::default()).expect("formatted");
    }

    #[test]
    fn a_state_is_told_from_zeros_and_from_something_else() {
        let folder = Folder::new("content");
        let path = folder.file(&[]);
        assert_eq!(content(&path).expect("read"), Content::Zeros);
        formatted(&path);
        assert_eq!(content(&path).expect("read"), Content::State);
        assert!(check(&path).is_ok());
        assert_eq!(content(&folder.file(&[0; 3 << 20])).expect("read"), Content::Zeros);
        // What the system takes for blank by its beginning is not deleted for it.
        let mut late = vec![0; 3 << 20];
        late.push(1);
        assert_eq!(content(&folder.file(&late)).expect("read"), Content::Foreign);
        let path = folder.file(b"my holiday photographs");
        assert_eq!(content(&path).expect("read"), Content::Foreign);
        let said = check(&path).expect_err("foreign").0;
        assert!(said.contains("s.fs") && said.contains("STATE=other.fs make run"), "{said}");
        assert!(check(&folder.0.join("none.fs")).is_ok());
    }

    #[test]
    fn only_state_files_are_deleted() {
        let folder = Folder::new("delete");
        let path = folder.file(b"my holiday photographs");
        let said = delete(&path).expect_err("foreign").0;
        assert!(said.contains("s.fs holds something else") && said.contains("left as it is"), "{said}");
        assert!(path.exists());
        let said = delete(&folder.0).expect_err("a folder").0;
        assert!(said.contains("no regular file"), "{said}");
        let link = folder.0.join("link.fs");
        std::os::unix::fs::symlink(&path, &link).expect("linked");
        assert!(delete(&link).expect_err("a link").0.contains("no regular file"));
        formatted(&path);
        let said = delete(&path).expect("deleted");
        assert!(said.contains("s.fs: 67108864 bytes, of which "), "{said}");
        assert!(!path.exists());
        assert!(delete(&path).expect("nothing").contains("nothing to delete"));
        assert!(delete(&folder.file(&[0; 4096])).is_ok_and(|said| said.contains("4096 bytes")));
    }

    #[test]
    fn an_open_state_file_is_not_deleted() {
        let folder = Folder::new("open");
        let path = folder.file(&[]);
        formatted(&path);
        let mut command = stopped_machine(&path);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut machine = command.spawn().expect("QEMU starts");
        // It greets before its devices have their files, and answers after.
        machine.stdin.as_mut().expect("piped").write_all(b"info status\n").expect("asked");
        let mut lines = BufReader::new(machine.stdout.as_mut().expect("piped")).lines();
        assert!(lines.any(|line| line.expect("text").starts_with("VM status")));
        let said = delete(&path).expect_err("open").0;
        assert!(said.contains("has ") && said.contains("s.fs open"), "{said}");
        assert!(path.exists());
        machine.kill().expect("ended");
        machine.wait().expect("ended");
        assert!(delete(&path).is_ok());
    }
}
