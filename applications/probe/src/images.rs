//! What the loader refuses in the running system.

use alloc::vec;
use alloc::vec::Vec;

use abi::KernelError;
use abi::token::{All, Cap, Image};
use runtime::objects;

use crate::lab::{Lab, MIDDLE, Test, Tested, same};
use crate::protocol::{Role, Task};

pub const TESTS: &[(&str, Test)] = &[("a_damaged_image_is_refused_and_its_object_takes_a_good_one", damaged)];

fn damaged(lab: &mut Lab) -> Tested {
    let good = bytes(lab)?;
    let bits = spawner::page_bits(good.len() as u64 + 64);
    let object: Cap<Image, All> = lab.object(bits)?;
    for at in [0, 70, good.len() / 3, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        if let Some(byte) = bad.get_mut(at) {
            *byte ^= 0x10;
        }
        same("a flipped bit", (at, objects::fill_image(&object, &bad)), (at, Err(KernelError::ImageRefused)))?;
    }
    let short = good.get(..good.len() - 1).unwrap_or(&[]);
    same("a short one", objects::fill_image(&object, short), Err(KernelError::ImageRefused))?;
    same("none at all", objects::fill_image(&object, &[]), Err(KernelError::ImageRefused))?;
    objects::fill_image(&object, &good)?;
    same("a second filling", objects::fill_image(&object, &good), Err(KernelError::IllegalOperation))?;
    // What was filled at last is as good as the first.
    let ours = core::mem::replace(&mut lab.image, object);
    let peer = lab.peer(Task::new(Role::Wait, 0), MIDDLE);
    lab.image = ours;
    peer.map(drop)
}

/// The bytes of this cell's own image.
fn bytes(lab: &Lab) -> Tested<Vec<u8>> {
    let length = objects::image_read(&lab.image, 0, &mut [])?;
    let mut bytes = vec![0; length as usize];
    objects::image_read(&lab.image, 0, &mut bytes)?;
    Ok(bytes)
}
