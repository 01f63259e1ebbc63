//! The cells that the root task started, before there was this server to start any.
//!
//! The root task tells of each with its VSpace, by which the kernel says what the cell is doing whenever somebody asks.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::interfaces::process::{self as codes, CellSummary, State};
use abi::token::{All, CNode, Cap, VSpace};
use runtime::Request;
use runtime::objects::{self, Instance as Outcome};

/// The badge of the root task's capability, which is none; processes have one each.
const ROOT_TASK: u64 = 0;
/// More than the root task starts.
const MOST: usize = 32;

/// One of them.
#[derive(Debug)]
struct Introduced {
    name: String,
    version: String,
    hash: u64,
    vspace: Cap<VSpace, All>,
}

/// All of them, in the order in which they were told of.
#[derive(Debug, Default)]
pub struct Introductions {
    cells: Vec<Introduced>,
}

impl Introductions {
    /// Takes an introduction: `name version` in the body, the VSpace with it.
    pub fn introduce(&mut self, mut request: Request<'_>, hash: u64, cnode: &Cap<CNode, All>) {
        let badge = request.badge();
        if badge != ROOT_TASK || self.cells.len() >= MOST {
            return request.refuse(codes::NOT_ALLOWED, badge);
        }
        let text = core::str::from_utf8(request.body()).unwrap_or("?");
        let (name, version) = text.split_once(' ').unwrap_or((text, ""));
        let (name, version) = (name.to_string(), version.to_string());
        let granted = request.granted().and_then(|granted| granted.claim(cnode).ok());
        let Some(vspace) = granted else { return request.refuse(codes::BAD_CAPABILITIES, 0) };
        self.cells.push(Introduced { name, version, hash, vspace });
        request.ok(0);
    }

    /// A line each; what has ended as it was meant to is left out.
    pub fn summaries(&self) -> impl Iterator<Item = CellSummary<'_>> {
        self.cells.iter().map(Introduced::summary).filter(|summary| summary.state != State::Exited(0))
    }
}

impl Introduced {
    fn summary(&self) -> CellSummary<'_> {
        let (state, text, text_end) = match objects::instance_info(&self.vspace) {
            Ok((Outcome::Running, start, end)) => (State::Running, start, end),
            Ok((Outcome::Exited(status), ..)) => (State::Exited(status), 0, 0),
            Ok((Outcome::Failed, ..)) | Err(_) => (State::Failed, 0, 0),
        };
        let Introduced { name, version, hash, .. } = self;
        CellSummary { name, version, hash: *hash, text, text_end, state }
    }
}
