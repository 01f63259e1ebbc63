//! `push`: a cell's image to a running system.
//!
//! The runner gives each machine a second serial line, on a socket that is found by the state file. A frame goes in (`TELOSIMG`,
//! the length in four bytes, little-endian, the signed image; see `cells/image_port`), and one line of text comes back.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::fail;
use crate::failure::{Context, Result};
use crate::iso::Boot;
use crate::project::Project;

/// How a frame begins.
const MAGIC: &[u8; 8] = b"TELOSIMG";
/// How long a system may take to answer, under software emulation.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where the device stands on the bus: on another interrupt line than the disk, whose driver is another cell.
const PLACE: &str = "0x5";

/// The line of the machines on one state file.
pub struct Line {
    path: PathBuf,
}

impl Line {
    /// The line of the machine on a state file.
    pub fn of(state: &Path) -> Line {
        let whole = fs::canonicalize(state).unwrap_or_else(|_| state.to_owned());
        // A socket's name must be short, which the state file's may not be.
        let mut hasher = DefaultHasher::new();
        whole.hash(&mut hasher);
        let number = hasher.finish();
        Line { path: std::env::temp_dir().join(format!("telos-push-{number:016x}")) }
    }

    /// Gives the machines of a boot the line.
    pub fn attach(&self, boot: &mut Boot) {
        let _ = fs::remove_file(&self.path);
        let path = self.path.display().to_string().replace(',', ",,");
        let chardev = format!("socket,id=push,path={path},server=on,wait=off");
        let device = format!("pci-serial,chardev=push,addr={PLACE}");
        boot.extra.extend(["-chardev", &chardev, "-device", &device].map(String::from));
    }

    /// Sends an image; answers what the system says.
    ///
    /// # Errors
    /// There is no running system, it refuses, or it does not answer.
    pub fn send(&self, image: &[u8]) -> Result<String> {
        let mut stream = match UnixStream::connect(&self.path) {
            Ok(stream) => stream,
            Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                fail!(
                    "no system runs on this state file; start one with `make run`, or name its state file with STATE="
                )
            }
            Err(cause) => fail!("{}: {cause}", self.path.display()),
        };
        stream.set_read_timeout(Some(PATIENCE)).context("the line")?;
        let length = u32::try_from(image.len()).context("the image is too long")?;
        let frame = [MAGIC.as_slice(), &length.to_le_bytes(), image].concat();
        stream.write_all(&frame).context("the system took no more of the image")?;
        let mut answer = String::new();
        let read = BufReader::new(&stream).read_line(&mut answer);
        if read.is_err() || answer.is_empty() {
            fail!("the system did not answer within {} s; its console may say why", PATIENCE.as_secs());
        }
        match answer.trim_end().strip_prefix("stored: ") {
            Some(stored) => Ok(stored.to_owned()),
            None => fail!("{}", answer.trim_end()),
        }
    }
}

/// Builds a cell and sends its image to the system that runs on a state file.
///
/// # Errors
/// It does not build, or what [`Line::send`] says.
pub fn push(project: &Project, cell: &str, state: &Path) -> Result<()> {
    let begun = Instant::now();
    let image = crate::cells::build_one(project, cell)?;
    let built = begun.elapsed();
    let stored = Line::of(state).send(&image)?;
    println!("{stored}");
    println!("built in {:.1} s, sent in {:.1} s", built.as_secs_f64(), (begun.elapsed() - built).as_secs_f64());
    Ok(())
}
