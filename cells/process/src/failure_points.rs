//! The places where CreateProcess can fail.
//!
//! Each step of the factory passes its point; a test plants a failure at one after another and checks that nothing is
//! left behind. The list is the registry: a step without a point here does not compile, since [`Point`] is how steps are
//! named in the log too.

/// A step of CreateProcess, after which a failure can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The transaction is open.
    Begun,
    /// The image object was read from the graph.
    ImageRead,
    /// The image verified and is a kernel object.
    ImageFilled,
    /// Thread, CNode, VSpace and frames are there, the code is relocated.
    InstanceMade,
    /// The capabilities are granted.
    Granted,
    /// The thread has its parts.
    Configured,
    /// The Process object is stored.
    ObjectStored,
    /// It is entered in the list of processes.
    Entered,
}

impl Point {
    /// All of them, in order.
    pub const ALL: [Point; 8] = [
        Point::Begun,
        Point::ImageRead,
        Point::ImageFilled,
        Point::InstanceMade,
        Point::Granted,
        Point::Configured,
        Point::ObjectStored,
        Point::Entered,
    ];

    /// The point of a number, as messages name it.
    pub fn from_number(number: u64) -> Option<Point> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}
