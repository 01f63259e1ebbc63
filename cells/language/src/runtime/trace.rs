//! The stack of sends of an error.

use alloc::format;
use alloc::vec::Vec;

use crate::error::Sent;
use crate::session::Session;
use crate::source::line_of;

/// Frames of a trace that are told at both ends.
const TRACE_INNER: usize = 12;
const TRACE_OUTER: usize = 4;

impl Session {
    /// The sends that are open, the innermost first.
    pub(crate) fn trace(&self) -> Vec<Sent> {
        let count = self.frames.len();
        let mut trace = Vec::new();
        for (number, frame) in self.frames.iter().rev().enumerate() {
            if number == TRACE_INNER && count > TRACE_INNER + TRACE_OUTER {
                let gap = count - TRACE_INNER - TRACE_OUTER;
                trace.push(Sent { selector: format!("{gap} more"), in_block: false, line: 0, text: "".into() });
            }
            if number >= TRACE_INNER && number + TRACE_OUTER < count {
                continue;
            }
            let code = &frame.code;
            let (line, _, text) = line_of(&code.shared.source, code.position(frame.next.saturating_sub(1)));
            let text: alloc::string::String = text.chars().take(100).collect();
            let selector = self.world.names.name(code.selector).into();
            trace.push(Sent { selector, in_block: code.is_block, line, text });
        }
        trace
    }
}
