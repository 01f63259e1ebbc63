//! One transaction after the other.

use alloc::vec::Vec;

use abi::CallError;
use abi::interfaces::persistence::{CONFLICT, STORE_FULL, STORE_STOPPED};
use accounts::{Account, Broken, Register, SLOT, audit};
use clients::{Graph, GraphError};
use object_model::{Object, Oid, SlotKind, Value};
use runtime::{Console, say};

use crate::random::Random;

/// The most bytes of ballast in a record: with the rest of an account it fits a message.
const BALLAST: usize = 1700;
/// The slot of an account that refers to what its client wrote last besides; what it referred to before is garbage.
const THING: &str = "thing";
/// The most further objects of a transaction.
const THINGS: usize = 4;

/// Why a client ends.
#[derive(Clone, Debug)]
pub enum End {
    /// The store has stopped.
    Stopped,
    /// The store is full; so many accounts were read after it had said so.
    Full {
        /// How many.
        readable: usize,
    },
    /// The accounts are not as they must be.
    Broken(Broken),
    /// A call failed.
    Failed(GraphError),
}

impl From<GraphError> for End {
    fn from(error: GraphError) -> Self {
        match error {
            GraphError::Call(CallError::Server(STORE_STOPPED, _)) => End::Stopped,
            // The client that was refused reads on before it ends.
            GraphError::Call(CallError::Server(STORE_FULL, _)) => End::Full { readable: 0 },
            error => End::Failed(error),
        }
    }
}

/// A client at work.
#[derive(Debug)]
pub struct Client<'a> {
    graph: Graph,
    console: &'a Console,
    number: u64,
    own: Oid,
    register: Oid,
    /// The TID of its last commit that was acknowledged; 0 before the first.
    acknowledged: u64,
    random: Random,
}

impl Client<'_> {
    /// Works until something ends it. A client of the same number has the same account.
    pub fn run(mut graph: Graph, console: &Console, number: u64) -> End {
        let (register, own) = match retried(&mut graph, |graph| enter(graph, number)) {
            Ok(entered) => entered,
            Err(end) => return end,
        };
        let random = Random::new(number);
        let mut client = Client { graph, console, number, own, register, acknowledged: 0, random };
        if let Err(end) = client.introduce() {
            return end;
        }
        loop {
            match client.transact() {
                Ok(()) => {}
                Err(End::Full { .. }) => return client.read_on(),
                Err(end) => return end,
            }
        }
    }

    /// Says what it finds before it does anything.
    fn introduce(&mut self) -> Result<(), End> {
        let accounts = self.audit()?;
        let own = self.account(self.own)?.1;
        let (number, sequence) = (self.number, own.sequence);
        say!(self.console, "client {number:x} finds {accounts} accounts that balance, its own at {sequence}");
        Ok(())
    }

    /// What can still be read of a store that is full.
    fn read_on(&mut self) -> End {
        let aborted = self.graph.abort();
        match aborted.map_err(End::from).and_then(|()| self.audit()) {
            Ok(readable) => End::Full { readable },
            Err(end) => end,
        }
    }

    /// Looks at all accounts, in a transaction of its own; how many there are.
    fn audit(&mut self) -> Result<usize, End> {
        self.graph.begin()?;
        let register = Register::of(self.graph.object(self.register)?);
        let mut failed = None;
        let found = audit(&register, |oid| match self.graph.object(oid) {
            Ok(object) => Some(object),
            Err(error) => {
                failed = Some(error);
                None
            }
        });
        self.graph.abort()?;
        match (failed, found) {
            (Some(error), _) => Err(error.into()),
            (None, Err(broken)) => Err(End::Broken(broken)),
            (None, Ok(found)) => Ok(found.len()),
        }
    }

    fn account(&mut self, oid: Oid) -> Result<(Object, Account), End> {
        let object = self.graph.object(oid)?;
        let account = Account::of(&object).ok_or(GraphError::Record)?;
        Ok((object, account))
    }

    /// One transaction: committed, aborted on purpose, or in conflict.
    fn transact(&mut self) -> Result<(), End> {
        self.audit()?;
        self.graph.begin()?;
        let sequence = self.move_amount()?;
        if self.random.below(8) == 0 {
            return Ok(self.graph.abort()?);
        }
        match self.graph.commit() {
            Ok(tid) => {
                self.acknowledged = tid.number();
                let number = self.number;
                say!(self.console, "client {number:x} has transaction {sequence} acknowledged at TID {}", tid.number());
                Ok(())
            }
            Err(GraphError::Call(CallError::Server(CONFLICT, _))) => Ok(self.graph.abort()?),
            Err(error) => Err(error.into()),
        }
    }

    /// Moves an amount from its own account to another's, with ballast; the number of the transaction.
    fn move_amount(&mut self) -> Result<i64, End> {
        let register = Register::of(self.graph.object(self.register)?);
        let others: Vec<Oid> = register.accounts().map(|(_, oid)| oid).filter(|oid| *oid != self.own).collect();
        let amount = self.random.below(1000) as i64;
        let (mut object, mut own) = self.account(self.own)?;
        own.sequence += 1;
        own.acknowledged = self.acknowledged;
        if let Some(&other) = others.get(self.random.below(others.len())) {
            own.balance -= amount;
            let (object, mut account) = self.account(other)?;
            account.balance += amount;
            self.graph.put_object(other, &account.into(object))?;
        }
        for _ in 0..self.random.below(THINGS + 1) {
            let thing = self.graph.new_object()?;
            let ballast = self.ballast();
            self.graph.put_object(thing, &Object::new().data("ballast", ballast))?;
            let reference = object.refer(thing);
            object.set(THING, SlotKind::Data, reference);
        }
        let ballast = self.ballast();
        self.graph.put_object(self.own, &own.into(object).data("ballast", ballast))?;
        Ok(own.sequence)
    }

    fn ballast(&mut self) -> Value {
        let length = self.random.below(BALLAST);
        Value::Bytes((0..length).map(|_| self.random.below(256) as u8).collect())
    }
}

/// The register and the account of a client: both are made where they are not there.
fn enter(graph: &mut Graph, number: u64) -> Result<(Oid, Oid), GraphError> {
    let root = graph.root()?;
    let mapping = graph.object(root)?;
    let (register, mut accounts) = match mapping.reference(SLOT) {
        Some(register) => (register, Register::of(graph.object(register)?)),
        None => {
            let register = graph.new_object()?;
            graph.put_object(root, &mapping.referring(SLOT, register))?;
            (register, Register::default())
        }
    };
    if let Some(own) = accounts.account(number) {
        return Ok((register, own));
    }
    let own = graph.new_object()?;
    graph.put_object(own, &Account::default().into(Object::new()))?;
    accounts.enter(number, own);
    graph.put_object(register, accounts.object())?;
    Ok((register, own))
}

/// Carries something out in a transaction, again and again as long as it conflicts with others.
fn retried<T>(graph: &mut Graph, mut what: impl FnMut(&mut Graph) -> Result<T, GraphError>) -> Result<T, End> {
    loop {
        graph.begin()?;
        let done = what(graph).and_then(|done| graph.commit().map(|_| done));
        match done {
            Ok(done) => return Ok(done),
            Err(GraphError::Call(CallError::Server(CONFLICT, _))) => graph.abort()?,
            Err(error) => return Err(error.into()),
        }
    }
}
