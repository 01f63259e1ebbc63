//! The object that is hosted, and the sessions in which its methods run.
//!
//! Requests without a transaction share one session: what it has of the graph in memory is read anew where others have committed. A
//! request that brings its caller's transaction gets a session of its own, which ends with it: what it sees is that transaction's,
//! and may never be committed.

use abi::interfaces::objects as codes;
use genesis::interface::{Served, interface};
use language::{Argument, Error, ErrorKind, Limits, Session};
use object_host::{GraphStore, ServerHost};
use object_model::Oid;

use crate::message::{self, Received, Reply};
use crate::transactions::{Beginner, Joint};
use crate::verdict::{Refusal, refusal};

/// What one request may take. The heap is that of the cell, see `cfg/boot.toml`.
const LIMITS: Limits = Limits { fuel: 1 << 22, depth: 1000, stack: 1 << 14, memory: 1 << 16, garbage: 1 << 14 };
/// How often a request is tried where others change the same objects.
const ATTEMPTS: u32 = 4;
/// What is done with a message, as the prototype Server has it.
const MAIN_LOOP: &str = "mainLoop";

type Host = ServerHost<fn() -> bool>;

/// The object, with what its methods run in.
pub struct Hosted {
    oid: Oid,
    session: Session,
    store: GraphStore<Joint>,
    joined: GraphStore<Joint>,
    host: Host,
}

/// A session without names: a method has what it needs in its object's slots. The structure of objects is not a server's to change.
fn session() -> Session {
    let mut session = Session::new(None, LIMITS);
    session.forget("mirror");
    session
}

impl Hosted {
    /// An object, over two sessions with the persistence server.
    pub fn new(oid: Oid, own: Joint, joined: Joint, host: Host) -> Self {
        let (store, joined) = (GraphStore::new(own), GraphStore::new(joined));
        Hosted { oid, session: session(), store, joined, host }
    }

    /// What the object declares to serve. `None` where that is malformed, or cannot be read.
    pub fn interface(&mut self, beginner: Beginner) -> Option<alloc::vec::Vec<Served>> {
        let store = match beginner {
            Beginner::Own => &mut self.store,
            Beginner::Caller => &mut self.joined,
        };
        interface(&store.objects().graph().object(self.oid).ok()?)
    }

    /// Answers a request, in one transaction.
    ///
    /// # Errors
    /// What the caller is told; nothing has been kept.
    pub fn serve(&mut self, label: u32, received: Received<'_>, beginner: Beginner) -> Result<Reply, Refusal> {
        let not_served = Refusal(codes::NOT_SERVED, label.into());
        let served = self.interface(beginner).ok_or(not_served)?;
        let served = served.into_iter().find(|served| served.label == label).ok_or(not_served)?;
        let message = message::message(&served, received).ok_or(Refusal(codes::BAD_REQUEST, 0))?;
        match beginner {
            Beginner::Own => self.serve_own(&served, &message),
            Beginner::Caller => self.serve_joined(&served, &message),
        }
    }

    /// In a transaction of the request's own, again where others are quicker.
    fn serve_own(&mut self, served: &Served, message: &Argument) -> Result<Reply, Refusal> {
        let mut attempts = ATTEMPTS;
        loop {
            attempts -= 1;
            let (store, host) = (&mut self.store, &mut self.host);
            match send(&mut self.session, store, host, self.oid, served, message) {
                Err(error) if error.kind == ErrorKind::Conflict && attempts > 0 => {}
                Err(error) => return Err(refusal(&error)),
                Ok(_) if self.session.is_in_transaction() => {
                    // A method that began one has said nothing of its end: it is nobody's.
                    let _ = self.session.run_source(&mut self.store, &mut self.host, "self.abort()");
                    return Err(Refusal(codes::LEFT_OPEN, 0));
                }
                Ok(reply) => return Ok(reply),
            }
        }
    }

    /// In the caller's, which a failure dooms.
    fn serve_joined(&mut self, served: &Served, message: &Argument) -> Result<Reply, Refusal> {
        let mut session = session();
        let sent = send(&mut session, &mut self.joined, &mut self.host, self.oid, served, message);
        sent.map_err(|error| refusal(&error))
    }
}

fn send(
    session: &mut Session,
    store: &mut GraphStore<Joint>,
    host: &mut Host,
    oid: Oid,
    served: &Served,
    message: &Argument,
) -> Result<Reply, Error> {
    store.set_purpose(&served.selector);
    let accept = |answer: Argument| message::reply(served, &answer);
    session.send_message_for(store, host, oid, MAIN_LOOP, core::slice::from_ref(message), accept)
}
