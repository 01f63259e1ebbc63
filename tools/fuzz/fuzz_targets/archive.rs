//! Feeds bytes to the boot archive's reader and looks at every image in what opens.
#![no_main]

use image::Archive;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(archive) = Archive::open(bytes) else { return };
    assert_eq!(archive.iter().count(), archive.len(), "an opened archive has no bad entry");
    for image in archive.iter() {
        let _ = image.check();
        assert!(archive.find(image.name).is_some());
    }
});
