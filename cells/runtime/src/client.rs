//! The client's side of a call.

use core::marker::PhantomData;

use abi::CallError;
use abi::interface::{Method, Word};
use abi::kernel::{BODY_MAX, Exchange, TIMEOUT_NONE};
use abi::token::{CallOnly, Cap, Endpoint, Object, RawCap, Rights};

use crate::kernel::{call, exchange, outcome};
use crate::objects::Granted;
use crate::{Buf, interrupts};

/// A call being put together. `Call::new(&server, GetObject { oid }).lend(&mut buf).send()`.
#[must_use = "a call does nothing until it is sent"]
#[derive(Debug)]
pub struct Call<'a, M: Method> {
    endpoint: RawCap,
    method: M,
    body: &'a [u8],
    buf: RawCap,
    grant: RawCap,
    timeout: u64,
    borrow: PhantomData<&'a mut Buf>,
}

/// What a call brought.
#[derive(Debug)]
pub struct Answered<M: Method> {
    /// The result word.
    pub value: M::Value,
    /// The second word of the reply.
    pub second: u64,
    /// A capability that came with it.
    pub granted: Option<Granted>,
}

impl<'a, M: Method> Call<'a, M> {
    /// A call of a method with its words alone.
    #[inline(always)]
    pub fn new(endpoint: &'a Cap<Endpoint, CallOnly>, method: M) -> Self {
        Call {
            endpoint: endpoint.raw(),
            method,
            body: &[],
            buf: RawCap::EMPTY,
            grant: RawCap::EMPTY,
            timeout: TIMEOUT_NONE,
            borrow: PhantomData,
        }
    }

    /// With bytes as its body; at most [`BODY_MAX`].
    pub fn bytes(mut self, body: &'a [u8]) -> Self {
        self.body = body;
        self
    }

    /// With memory lent until the reply. A timeout does not apply to such a call.
    pub fn lend(mut self, buf: &'a mut Buf) -> Self {
        self.buf = buf.raw();
        self
    }

    /// With a capability handed over.
    pub fn grant<T: Object, R: Rights>(mut self, cap: Cap<T, R>) -> Self {
        self.grant = cap.into_raw();
        self
    }

    /// Given up after so many nanoseconds, counted anew where it is interrupted and sent again.
    pub fn timeout(mut self, nanoseconds: u64) -> Self {
        self.timeout = nanoseconds;
        self
    }

    /// Sends the words alone and waits: the short path.
    ///
    /// # Errors
    /// The kernel's or the server's; `Interrupted` only in a cell that asked to be.
    #[inline(always)]
    pub fn words(self) -> Result<M::Value, CallError> {
        let value = outcome(call(self.endpoint, M::LABEL, self.method.words()))?;
        M::Value::from_word(value).ok_or(CallError::Malformed)
    }

    /// As [`Self::words`], for a cell that can be interrupted (see [`crate::on_interrupt`]): then it is sent again.
    ///
    /// # Errors
    /// As [`Self::words`].
    pub fn value(self) -> Result<M::Value, CallError> {
        self.send().map(|answered| answered.value)
    }

    /// Sends it and waits for the reply; the reply's body goes into `into`. Answers its length too.
    ///
    /// # Errors
    /// The kernel's or the server's.
    pub fn into_bytes(self, into: &mut [u8]) -> Result<(Answered<M>, usize), CallError> {
        let mut extra = Exchange {
            send: self.body.as_ptr(),
            send_length: self.body.len(),
            receive: into.as_mut_ptr(),
            receive_capacity: into.len(),
            received: 0,
            buf: self.buf,
            grant: self.grant,
            granted: RawCap::EMPTY,
            timeout: if self.buf.is_empty() { self.timeout } else { TIMEOUT_NONE },
            second: 0,
        };
        let value = loop {
            match outcome(exchange(self.endpoint, M::LABEL, self.method.words(), &mut extra)) {
                Ok(value) => break value,
                Err(error) if interrupts::handle(error) => {}
                Err(error) => return Err(error),
            }
        };
        let value = M::Value::from_word(value).ok_or(CallError::Malformed)?;
        let granted = (!extra.granted.is_empty()).then_some(Granted(extra.granted));
        Ok((Answered { value, second: extra.second, granted }, extra.received))
    }

    /// Sends it and waits for the reply, whose body must be empty.
    ///
    /// # Errors
    /// The kernel's or the server's.
    pub fn send(self) -> Result<Answered<M>, CallError> {
        self.into_bytes(&mut []).map(|(answered, _)| answered)
    }

    /// Sends it and decodes the reply's body.
    ///
    /// # Errors
    /// The kernel's or the server's; `Malformed` for a body of another type.
    pub fn decode<T>(self, read: impl FnOnce(&Answered<M>, M::Answer) -> T) -> Result<T, CallError> {
        let mut room = [0; BODY_MAX];
        let (answered, length) = self.into_bytes(&mut room)?;
        let body = room.get(..length).ok_or(CallError::Malformed)?;
        let body = postcard::from_bytes(body).map_err(|_| CallError::Malformed)?;
        Ok(read(&answered, body))
    }
}

/// What a call brought of which only the label was known.
#[derive(Debug)]
pub struct Untyped {
    /// The result word.
    pub value: u64,
    /// How many bytes of the reply's body there are.
    pub length: usize,
    /// A capability that came with it.
    pub granted: Option<Granted>,
}

/// Calls a label with words and a body, for who learns at run time what a server serves; the reply's body goes into `into`, and
/// it is given up after so many nanoseconds.
///
/// # Errors
/// The kernel's or the server's.
pub fn call_untyped(
    endpoint: &Cap<Endpoint, CallOnly>,
    label: u32,
    words: [u64; 3],
    body: &[u8],
    into: &mut [u8],
    timeout: u64,
) -> Result<Untyped, CallError> {
    let mut extra = Exchange {
        send: body.as_ptr(),
        send_length: body.len(),
        receive: into.as_mut_ptr(),
        receive_capacity: into.len(),
        received: 0,
        buf: RawCap::EMPTY,
        grant: RawCap::EMPTY,
        granted: RawCap::EMPTY,
        timeout,
        second: 0,
    };
    let answer = loop {
        match outcome(exchange(endpoint.raw(), label, words, &mut extra)) {
            Err(error) if interrupts::handle(error) => {}
            answer => break answer,
        }
    };
    let granted = (!extra.granted.is_empty()).then_some(Granted(extra.granted));
    answer.map(|value| Untyped { value, length: extra.received, granted })
}

/// The same with words alone, for a number alone.
///
/// # Errors
/// The kernel's or the server's.
pub fn call_label(
    endpoint: &Cap<Endpoint, CallOnly>,
    label: u32,
    words: [u64; 3],
    timeout: u64,
) -> Result<u64, CallError> {
    let Untyped { value, granted, .. } = call_untyped(endpoint, label, words, &[], &mut [], timeout)?;
    // What nobody asked for is not kept.
    if let Some(granted) = granted {
        granted.refuse();
    }
    Ok(value)
}
