//! Capability tokens: what safe code holds of an authority.
//!
//! A [`Cap<T, R>`] names a slot of the holder's CNode and the generation that the slot had when it was filled. The
//! kernel's table is the truth: each use compares the generation, the kind and the rights there, so a token that was
//! revoked, or kept too long, is refused and never reaches another object. The types add what the table cannot:
//!
//! * affine: a token is neither `Clone` nor `Copy`, and handing it over gives it up;
//! * unforgeable: only `unsafe` code (the runtime) makes one from numbers;
//! * rights only shrink: [`Cap::narrow`] takes a type of rights that lies [`Within`] the present one;
//! * never bytes: no token implements `Serialize`.
//!
//! ```compile_fail,E0599
//! fn cloned(cap: abi::Cap<abi::token::Endpoint, abi::token::CallOnly>) { let _ = cap.clone(); }
//! ```
//! ```compile_fail,E0382
//! fn used_twice(cap: abi::Cap<abi::token::Endpoint, abi::token::CallOnly>) { drop(cap); drop(cap); }
//! ```
//! ```compile_fail,E0451
//! let forged = abi::Cap::<abi::token::Frame, abi::token::All> { raw: abi::token::RawCap::EMPTY, marker: core::marker::PhantomData };
//! ```
//! ```compile_fail,E0133
//! let forged: abi::Cap<abi::token::Frame, abi::token::All> = abi::Cap::adopt(abi::token::RawCap::EMPTY);
//! ```
//! ```compile_fail,E0277
//! use abi::token::{All, CallOnly, Endpoint};
//! fn widened(cap: abi::Cap<Endpoint, CallOnly>) -> abi::Cap<Endpoint, All> { cap.narrow() }
//! ```
//! ```compile_fail,E0277
//! fn needs_serialize<T: serde::Serialize>(_: T) {}
//! fn serialised(cap: abi::Cap<abi::token::Endpoint, abi::token::CallOnly>) { needs_serialize(cap) }
//! ```
//! ```compile_fail,E0308
//! fn confused(cap: abi::Cap<abi::token::Frame, abi::token::All>) -> abi::Cap<abi::token::Tcb, abi::token::All> { cap }
//! ```

use core::marker::PhantomData;

use crate::kernel::Kind;

/// A token without its types, as it crosses to the kernel. It has no authority of its own: using it needs `unsafe`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawCap {
    /// Slot in the holder's CNode; 0 for none.
    pub slot: u64,
    /// Generation of that slot; 0 for none.
    pub generation: u64,
}

impl RawCap {
    /// Names nothing.
    pub const EMPTY: RawCap = RawCap { slot: 0, generation: 0 };

    /// Whether it names nothing.
    pub const fn is_empty(self) -> bool {
        self.generation == 0
    }
}

mod sealed {
    /// Closed: kinds and rights are the kernel's.
    pub trait Sealed {}
}

/// A kind of kernel object, as a type.
pub trait Object: sealed::Sealed {
    /// Its number.
    const KIND: Kind;
    /// The rights that mean something for it; others are not kept.
    const RIGHTS: u8;
}

macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident $(: $rights:expr)?),* $(,)?) => { $(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl Object for $name {
            const KIND: Kind = Kind::$name;
            const RIGHTS: u8 = 0 $(| $rights)?;
        }
    )* };
}

objects! {
    /// Memory without a type yet.
    Untyped,
    /// Memory to be mapped.
    Frame: bits::READ | bits::WRITE,
    /// A thread.
    Tcb,
    /// A table of capabilities.
    CNode,
    /// The regions of one cell instance.
    VSpace,
    /// Where requests are sent and received.
    Endpoint: bits::CALL | bits::RECEIVE | bits::GRANT,
    /// A word of signals.
    Notification: bits::CALL | bits::RECEIVE,
    /// Holds one request until it is answered.
    Reply: bits::CALL | bits::GRANT,
    /// Memory that can be lent with a call.
    Buf: bits::READ | bits::WRITE,
    /// The signed bytes of a cell.
    Image: bits::READ | bits::EXECUTE,
    /// An open transaction.
    Scope,
    /// One PCI function: its configuration space and BARs.
    PciFunction: bits::READ | bits::WRITE,
    /// One interrupt line.
    Irq,
    /// A range of ports.
    IoPort: bits::READ | bits::WRITE,
    /// Contiguous memory whose physical address is told.
    DmaFrame: bits::READ | bits::WRITE,
    /// Authority to make cell instances from images.
    Loader: bits::EXECUTE,
    /// Authority over priorities.
    Scheduler,
    /// The serial console.
    Serial: bits::READ | bits::WRITE,
    /// Authority to settle scopes.
    Settle,
    /// Authority to halt the machine.
    Machine,
    /// The replacement of an instance by another.
    Replacement,
}

/// A set of rights, as a type.
pub trait Rights: sealed::Sealed {
    /// The bits that the kernel keeps.
    const BITS: u8;
}

/// `Self` holds no right that `Wider` lacks.
pub trait Within<Wider: Rights>: Rights {}

/// Bits of the kernel's rights.
pub mod bits {
    /// Endpoint: send requests. Notification: signal.
    pub const CALL: u8 = 1;
    /// Endpoint: receive requests. Notification: wait.
    pub const RECEIVE: u8 = 2;
    /// Endpoint: hand capabilities over with a request.
    pub const GRANT: u8 = 4;
    /// Memory: read.
    pub const READ: u8 = 8;
    /// Memory: write.
    pub const WRITE: u8 = 16;
    /// Image: instantiate.
    pub const EXECUTE: u8 = 32;
    /// Everything.
    pub const ALL: u8 = 63;
}

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident = $bits:expr),* $(,)?) => { $(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl Rights for $name { const BITS: u8 = $bits; }
        impl Within<$name> for $name {}
    )* };
}

rights! {
    /// Every right of the kind.
    All = bits::ALL,
    /// To call and to hand capabilities over with the call.
    CallOnly = bits::CALL | bits::GRANT,
    /// To receive.
    ReceiveOnly = bits::RECEIVE,
    /// To read.
    ReadOnly = bits::READ,
}
impl Within<All> for CallOnly {}
impl Within<All> for ReceiveOnly {}
impl Within<All> for ReadOnly {}

/// An affine, typed capability token: authority `R` over one object of kind `T`.
#[must_use = "a token that is dropped stays in the CNode and cannot be named again; delete it or keep it"]
pub struct Cap<T: Object, R: Rights = All> {
    raw: RawCap,
    marker: PhantomData<fn() -> (T, R)>,
}

impl<T: Object, R: Rights> Cap<T, R> {
    /// Takes a slot into the type system.
    ///
    /// # Safety
    /// The slot must have been reported by the kernel as holding a `T` with at least the rights `R` under this
    /// generation, and no other token may exist for it.
    pub const unsafe fn adopt(raw: RawCap) -> Self {
        Cap { raw, marker: PhantomData }
    }

    /// The numbers, for the kernel. They give no authority to code that cannot call it unsafely.
    pub const fn raw(&self) -> RawCap {
        self.raw
    }

    /// Gives the token up and keeps the numbers.
    pub const fn into_raw(self) -> RawCap {
        self.raw
    }

    /// The same capability under fewer rights. The type narrows here; the kernel's table keeps what it had.
    pub fn narrow<N: Within<R>>(self) -> Cap<T, N> {
        Cap { raw: self.into_raw(), marker: PhantomData }
    }
}

impl<T: Object, R: Rights> core::fmt::Debug for Cap<T, R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}@{}", T::KIND, self.raw.slot)
    }
}
