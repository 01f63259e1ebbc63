//! Whether the processor's own virtualisation works here: found out by booting with it.
//!
//! That `/dev/kvm` opens says little: inside some virtual machines QEMU then dies on a register, or the guest never
//! gets past its firmware. So a boot sector that only ends the machine is tried once for each start of the host.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::project::write;

/// What executes the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor.
    Kvm,
    /// QEMU, in software.
    Software,
}

/// Ends the machine with QEMU's exit status 33: `mov al, 0x10; out 0xf4, al; hlt`.
const BOOT_SECTOR: [u8; 5] = [0xb0, 0x10, 0xe6, 0xf4, 0xf4];
/// Far more than the firmware needs where virtualisation works.
const LIMIT: Duration = Duration::from_secs(3);

/// What to use here. The answer is kept next to the build until the host starts again.
pub fn choose(cache: &Path) -> Accelerator {
    static CHOICE: OnceLock<Accelerator> = OnceLock::new();
    *CHOICE.get_or_init(|| {
        if OpenOptions::new().read(true).write(true).open("/dev/kvm").is_err() {
            return Accelerator::Software;
        }
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let (yes, no) = (format!("kvm {boot}"), format!("software {boot}"));
        let file = cache.join("accelerator");
        match fs::read_to_string(&file) {
            Ok(text) if text == yes => return Accelerator::Kvm,
            Ok(text) if text == no => return Accelerator::Software,
            _ => {}
        }
        let works = probe(&cache.join("accelerator.img"));
        // Without the file the next run asks again.
        let _ = write(&file, if works { &yes } else { &no }.as_bytes());
        if works { Accelerator::Kvm } else { Accelerator::Software }
    })
}

/// Boots the sector.
fn probe(image: &Path) -> bool {
    let mut sector = [0; 512];
    for (to, from) in sector.iter_mut().zip(BOOT_SECTOR) {
        *to = from;
    }
    let [.., signature, last] = &mut sector;
    (*signature, *last) = (0x55, 0xaa);
    if write(image, &sector).is_err() {
        return false;
    }
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-machine", "pc", "-accel", "kvm", "-cpu", "max", "-nic", "none", "-display", "none"]);
    command.args(["-monitor", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-drive"]);
    command.arg(format!("if=ide,format=raw,file={}", image.display().to_string().replace(',', ",,")));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else {
        return false;
    };
    let (ended, end) = std::sync::mpsc::channel();
    if let Some(mut output) = child.stdout.take() {
        // It says nothing: its standard output closes when it ends.
        std::thread::spawn(move || ended.send(std::io::copy(&mut output, &mut std::io::sink())));
    }
    if end.recv_timeout(LIMIT).is_err() {
        let _ = child.kill();
    }
    child.wait().is_ok_and(|status| status.code() == Some(33))
}
