//! Where the parts of an image go, and placing them there.
//!
//! Three regions, each starting at a page: text (to be mapped RX), rodata (R) and data, with the zeroed part behind it
//! (RW). Nothing shares a page with a region of other rights.

use core::ops::Range;

use crate::refusal::Refusal;
use crate::relocation;
use crate::symbols::Target;
use crate::verify::{Place, VerifiedImage};

/// The page size in bytes.
pub const PAGE: u64 = 4096;

/// How much memory an image needs and where in it each region lies.
///
/// The ranges are offsets in bytes from the image's base, start at a page, may be empty, and end where the contents
/// end; the rest of the last page is zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Code.
    pub text: Range<u64>,
    /// Constants.
    pub rodata: Range<u64>,
    /// Variables, the zeroed ones at the end.
    pub data: Range<u64>,
    /// Whole pages for all three.
    pub pages: u64,
}

impl Layout {
    /// The length of the buffer that [`VerifiedImage::relocate`] fills, in bytes.
    pub fn bytes(&self) -> u64 {
        self.pages * PAGE
    }
}

/// The run-time addresses of a placed image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The entry, `extern "C" fn(*const Start) -> !`.
    pub entry: u64,
    /// Code.
    pub text: Range<u64>,
    /// Constants.
    pub rodata: Range<u64>,
    /// Variables.
    pub data: Range<u64>,
}

impl<'a> VerifiedImage<'a> {
    /// Where each region goes. Verification bounds the sizes, so nothing here can overflow.
    pub fn layout(&self) -> Layout {
        let size = |place| self.parts.part(place).size;
        let region = |start: u64, size: u64| start..start + size;
        let text = region(0, size(Place::Text));
        let rodata = region(text.end.next_multiple_of(PAGE), size(Place::Rodata));
        let start = rodata.end.next_multiple_of(PAGE);
        let data = region(start, self.bss_offset() + size(Place::Bss));
        let pages = data.end.div_ceil(PAGE);
        Layout { text, rodata, data, pages }
    }

    /// Where the zeroed variables start in the data region.
    fn bss_offset(&self) -> u64 {
        self.parts.part(Place::Data).size.next_multiple_of(self.parts.part(Place::Bss).alignment)
    }

    /// The offset of a part from the image's base.
    fn offset(&self, layout: &Layout, place: Place) -> u64 {
        match place {
            Place::Text => layout.text.start,
            Place::Rodata => layout.rodata.start,
            Place::Data => layout.data.start,
            Place::Bss => layout.data.start + self.bss_offset(),
        }
    }

    /// Copies the image into `out`, whose run-time address is `base`, and applies its relocations. `resolve` gives the
    /// address of a kernel function. Every byte of `out` within the layout is written.
    ///
    /// # Errors
    /// [`Refusal::Buffer`] if `out` is too short or `base` not at a page, [`Refusal::Unresolved`] if `resolve` does not
    /// know an import, [`Refusal::RelocationOverflow`] if `base` is out of reach for the code model. `out` is then
    /// partly written and must not be run.
    pub fn relocate(
        &self,
        out: &mut [u8],
        base: u64,
        resolve: impl Fn(&str) -> Option<u64>,
    ) -> Result<Loaded, Refusal> {
        let layout = self.layout();
        let length = usize::try_from(layout.bytes()).map_err(|_| Refusal::Buffer)?;
        let out = out.get_mut(..length).ok_or(Refusal::Buffer)?;
        if !base.is_multiple_of(PAGE) || base.checked_add(layout.bytes()).is_none() {
            return Err(Refusal::Buffer);
        }
        self.place(&Place::ALL, out, 0, base, resolve)?;
        let at = |range: &Range<u64>| base + range.start..base + range.end;
        Ok(Loaded {
            entry: base + layout.text.start + self.entry,
            text: at(&layout.text),
            rodata: at(&layout.rodata),
            data: at(&layout.data),
        })
    }

    /// Writes the variables of an image that was relocated to `base` as they were then: `data` is the memory at the data
    /// region of the [`Layout`], to the end of its last page. Code and constants are not touched.
    ///
    /// # Errors
    /// As for [`VerifiedImage::relocate`].
    pub fn renew(&self, data: &mut [u8], base: u64, resolve: impl Fn(&str) -> Option<u64>) -> Result<(), Refusal> {
        let layout = self.layout();
        let length = layout.bytes().checked_sub(layout.data.start).and_then(|length| usize::try_from(length).ok());
        let data = length.and_then(|length| data.get_mut(..length)).ok_or(Refusal::Buffer)?;
        self.place(&[Place::Data, Place::Bss], data, layout.data.start, base, resolve)
    }

    /// Writes parts of the image to `out`, which lies `first` bytes behind the image's base, and relocates them. The rest
    /// of `out` is zeroed.
    fn place(
        &self,
        places: &[Place],
        out: &mut [u8],
        first: u64,
        base: u64,
        resolve: impl Fn(&str) -> Option<u64>,
    ) -> Result<(), Refusal> {
        let layout = self.layout();
        let behind_first = |place| self.offset(&layout, place).checked_sub(first).ok_or(Refusal::Buffer);
        out.fill(0);
        for place in places {
            let part = self.parts.part(*place);
            let to = slice(out, behind_first(*place)?, part.bytes.len() as u64).ok_or(Refusal::Buffer)?;
            to.copy_from_slice(part.bytes);
        }
        for (place, entries) in self.relocations.iter().filter(|(place, _)| places.contains(place)) {
            let part = self.parts.part(place);
            let start = self.offset(&layout, place);
            let bytes = slice(out, behind_first(place)?, part.size).ok_or(Refusal::Buffer)?;
            for entry in entries {
                let Some(step) = relocation::step(entry, place.name(), part.size)? else {
                    continue;
                };
                let section = place.name();
                let symbol = match self.symbols.target(step.symbol, &self.parts) {
                    None => {
                        return Err(Refusal::RelocationSymbol { section, offset: step.offset });
                    }
                    Some(Target::Here(place, value)) => base + self.offset(&layout, place) + value,
                    Some(Target::Import(name)) => {
                        resolve(name).ok_or(Refusal::Unresolved { symbol: crate::Name::new(name) })?
                    }
                };
                step.apply(bytes, symbol, base + start + step.offset)
                    .ok_or(Refusal::RelocationOverflow { section, offset: step.offset })?;
            }
        }
        Ok(())
    }
}

fn slice(out: &mut [u8], start: u64, length: u64) -> Option<&mut [u8]> {
    out.get_mut(usize::try_from(start).ok()?..usize::try_from(start.checked_add(length)?).ok()?)
}
