//! Feeds changed cell files to the verifier, as they are and signed again, and places what verifies.
//!
//! A corpus to start from: `mkdir -p corpus/image && cp ../../build/cells/*.cell corpus/image`.
#![no_main]

use image::write::{SigningKey, resign};
use image::{Trust, verify};
use libfuzzer_sys::fuzz_target;

const IMPORTS: &[&str] = &["telos_k_log", "telos_k_exit", "telos_k_call", "telos_k_reply"];

fuzz_target!(|file: &[u8]| {
    let key = SigningKey::from_seed([7; 32]);
    let kernel_abi = image::write::described_abi(file);
    let trust = Trust { key: key.public(), kernel_abi, imports: IMPORTS };
    assert!(verify(file, &trust).is_err(), "no one has signed this with our key");
    let Ok(signed) = resign(file, &key) else { return };
    let Ok(image) = verify(&signed, &trust) else { return };
    let mut out = vec![0; image.layout().bytes() as usize];
    for base in [0, 0xffff_ffff_a000_0000, u64::MAX - 4095] {
        let _ = image.relocate(&mut out, base, |_| Some(0xffff_ffff_8000_0000));
    }
    for offset in 0..256 {
        let _ = image.symbol_at(offset);
    }
});
