//! What the loader refuses in the running system, and what an image object is good for afterwards.

use alloc::vec;
use alloc::vec::Vec;

use abi::KernelError;
use abi::token::{All, Cap, Frame, Image, VSpace};
use runtime::objects;
use spawner::Instance;

use crate::cells::Plan;
use crate::outcome::{Failure, Outcome, equal};
use crate::rig::Rig;
use crate::task::{Reported, Role, Task};

tests! {
    a_flipped_byte_is_refused_wherever_it_is_and_a_good_image_taken_afterwards,
    an_image_that_is_cut_off_or_longer_is_refused,
    an_image_object_is_filled_once,
    an_image_object_without_an_image_is_of_no_use,
    a_vspace_takes_one_image_and_a_frame_that_is_large_enough,
}

/// Bytes of an image object before the image.
const HEADER: u64 = 64;
/// Places that are damaged, spread over the whole file.
const PLACES: usize = 32;
/// Bytes that are read back at a time.
const PART: usize = 4096;

fn own_image(rig: &Rig) -> Result<Vec<u8>, Failure> {
    let length = objects::image_read(&rig.image, 0, &mut [])?;
    // With room for one byte more.
    let mut bytes = vec![0; length as usize + 1];
    objects::image_read(&rig.image, 0, &mut bytes)?;
    bytes.pop();
    Ok(bytes)
}

fn object_for(rig: &mut Rig, bytes: &[u8]) -> Result<Cap<Image, All>, Failure> {
    Ok(rig.make(spawner::page_bits(bytes.len() as u64 + HEADER))?)
}

/// Starts a cell of an image, which reports what it is told.
fn runs(rig: &mut Rig, image: &Cap<Image, All>) -> Outcome {
    let witness = rig.make(0)?;
    let instance = Instance::new(&mut rig.stock, &rig.loader, image)?;
    let cell = Plan::new(Task::new(Role::Signal, 5)).witness(&witness).start_as(rig, instance)?;
    rig.expect_report("a cell of it", cell, Reported::Value(5))
}

fn a_flipped_byte_is_refused_wherever_it_is_and_a_good_image_taken_afterwards(rig: &mut Rig) -> Outcome {
    let mut bytes = own_image(rig)?;
    let image = object_for(rig, &bytes)?;
    let last = bytes.len() - 1;
    for at in (0..PLACES).map(|place| last * place / (PLACES - 1)) {
        let Some(byte) = bytes.get_mut(at) else { continue };
        *byte ^= 0x10;
        let refused = objects::fill_image(&image, &bytes);
        equal("the answer", (at, refused), (at, Err(KernelError::ImageRefused)))?;
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 0x10;
        }
    }
    equal("what the object holds", objects::image_read(&image, 0, &mut [])?, 0)?;
    objects::fill_image(&image, &bytes)?;
    runs(rig, &image)
}

fn an_image_that_is_cut_off_or_longer_is_refused(rig: &mut Rig) -> Outcome {
    let mut bytes = own_image(rig)?;
    let image = object_for(rig, &bytes)?;
    for length in [0, 1, 64, bytes.len() / 2, bytes.len() - 1] {
        let refused = objects::fill_image(&image, bytes.get(..length).unwrap_or(&[]));
        equal("the answer", (length, refused), (length, Err(KernelError::ImageRefused)))?;
    }
    bytes.push(0);
    equal("one byte more", objects::fill_image(&image, &bytes), Err(KernelError::ImageRefused))?;
    let small: Cap<Image, All> = rig.make(12)?;
    equal("one that does not fit", objects::fill_image(&small, &bytes), Err(KernelError::TooLarge))
}

fn an_image_object_is_filled_once(rig: &mut Rig) -> Outcome {
    let bytes = own_image(rig)?;
    let image = object_for(rig, &bytes)?;
    objects::fill_image(&image, &bytes)?;
    equal("a second filling", objects::fill_image(&image, &bytes), Err(KernelError::IllegalOperation))?;
    for (offset, part) in (0..).step_by(PART).zip(bytes.chunks(PART)) {
        let mut kept = [0; PART];
        objects::image_read(&image, offset, &mut kept)?;
        equal("whether it holds what was filled", kept.get(..part.len()), Some(part))?;
    }
    runs(rig, &image)
}

fn an_image_object_without_an_image_is_of_no_use(rig: &mut Rig) -> Outcome {
    let image: Cap<Image, All> = rig.make(12)?;
    let (vspace, frame): (Cap<VSpace, All>, Cap<Frame, All>) = (rig.make(12)?, rig.make(18)?);
    let needs = objects::image_needs(&rig.loader, &image).map(|needs| needs.memory);
    equal("what it asks for", needs, Err(KernelError::IllegalOperation))?;
    let made = objects::instantiate(&rig.loader, &image, &vspace, &frame);
    equal("an instance", made, Err(KernelError::IllegalOperation))?;
    // What was to become the instance is as it was.
    let needs = objects::image_needs(&rig.loader, &rig.image)?;
    let large: Cap<Frame, All> = rig.make(spawner::page_bits(needs.memory))?;
    Ok(objects::instantiate(&rig.loader, &rig.image, &vspace, &large)?)
}

fn a_vspace_takes_one_image_and_a_frame_that_is_large_enough(rig: &mut Rig) -> Outcome {
    let bits = spawner::page_bits(objects::image_needs(&rig.loader, &rig.image)?.memory);
    let vspace: Cap<VSpace, All> = rig.make(12)?;
    let (small, first, second): (Cap<Frame, All>, Cap<Frame, All>, Cap<Frame, All>) =
        (rig.make(12)?, rig.make(bits)?, rig.make(bits)?);
    let into = |frame: &Cap<Frame, All>| objects::instantiate(&rig.loader, &rig.image, &vspace, frame);
    equal("a frame that is too small", into(&small), Err(KernelError::NotEnoughMemory))?;
    equal("the first", into(&first), Ok(()))?;
    equal("the second", into(&second), Err(KernelError::IllegalOperation))
}
