//! Messages that wait for room in the device, with those who wait for them to be written.
//!
//! Invariants: messages leave in the order in which they came, each one whole; every writer is handed back once, when
//! its last byte has been taken.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// The queue. `W` stands for a writer that waits for its answer.
#[derive(Debug)]
pub struct Output<W> {
    queue: VecDeque<Message<W>>,
}

#[derive(Debug)]
struct Message<W> {
    bytes: Vec<u8>,
    sent: usize,
    writer: W,
}

impl<W> Default for Output<W> {
    fn default() -> Self {
        Output { queue: VecDeque::new() }
    }
}

impl<W> Output<W> {
    /// Whether nothing waits.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Bytes that wait.
    pub fn waiting(&self) -> usize {
        self.queue.iter().map(|message| message.bytes.len().saturating_sub(message.sent)).sum()
    }

    /// Enters a message of which the device has taken the first `sent` bytes. Only the first in the queue can have
    /// begun: `sent` is 0 while others wait.
    pub fn push(&mut self, bytes: Vec<u8>, sent: usize, writer: W) {
        self.queue.push_back(Message { bytes, sent, writer });
    }

    /// Feeds the device until it takes nothing more. Answers the writers whose message is through, in order.
    pub fn pump(&mut self, mut device: impl FnMut(&[u8]) -> usize) -> Vec<W> {
        let mut through = Vec::new();
        while let Some(message) = self.queue.front_mut() {
            message.sent += feed(message.bytes.get(message.sent..).unwrap_or(&[]), &mut device);
            if message.sent < message.bytes.len() {
                break;
            }
            through.extend(self.queue.pop_front().map(|message| message.writer));
        }
        through
    }
}

/// Feeds the device until it takes nothing more, which is what arms its signal; answers the bytes taken.
pub fn feed(bytes: &[u8], mut device: impl FnMut(&[u8]) -> usize) -> usize {
    let mut sent = 0;
    while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
        let taken = device(rest).min(rest.len());
        if taken == 0 {
            break;
        }
        sent += taken;
    }
    sent
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_goes_on_where_it_stopped() {
        let mut output = Output::default();
        output.push(b"first".to_vec(), 2, 'a');
        output.push(b"second".to_vec(), 0, 'b');
        let mut line = Vec::new();
        let through = output.pump(|bytes| {
            let room = 5 - line.len();
            line.extend(bytes.iter().take(room));
            bytes.len().min(room)
        });
        assert_eq!((line.as_slice(), through), (&b"rstse"[..], vec!['a']));
        assert!(!output.is_idle());
    }

    #[test]
    fn an_empty_message_is_through_at_once() {
        let mut output = Output::default();
        output.push(Vec::new(), 0, 'a');
        assert_eq!(output.pump(|_| 0), ['a']);
    }

    #[test]
    fn a_device_that_claims_too_much_is_not_believed() {
        assert_eq!(feed(b"abc", |_| usize::MAX), 3);
    }

    proptest! {
        #[test]
        fn messages_come_out_whole_and_in_order(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12),
            rooms in prop::collection::vec(0usize..30, 0..80),
        ) {
            let mut output = Output::default();
            let mut waiting = messages.iter().enumerate();
            let (mut line, mut answered) = (Vec::<u8>::new(), Vec::new());
            let endless = std::iter::repeat_n(1000, messages.len() + 1);
            for mut room in rooms.into_iter().chain(endless) {
                if let Some((index, message)) = waiting.next() {
                    output.push(message.clone(), 0, index);
                }
                answered.extend(output.pump(|bytes| {
                    let taken = bytes.len().min(room).min(7);
                    line.extend(&bytes[..taken]);
                    room -= taken;
                    taken
                }));
                let sure: usize = answered.iter().map(|index: &usize| messages[*index].len()).sum();
                prop_assert!(line.len() >= sure, "answered before it was written");
            }
            prop_assert!(output.is_idle());
            prop_assert_eq!(answered, (0..messages.len()).collect::<Vec<_>>());
            prop_assert_eq!(line, messages.concat());
        }
    }
}
