//! A session: a world in memory, names, and one transaction at a time.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use object_model::Oid;

use crate::code::Unit;
use crate::compiler::compile_program;
use crate::error::{Error, ErrorKind, Raise, error};
use crate::host::{Argument, Host, Outside, Store};
use crate::runtime::heap::Cell;
use crate::runtime::interpret::{Atomic, Frame, Handler};
use crate::runtime::link::link;
use crate::runtime::value::{ObjectId, Symbol, Val};
use crate::runtime::world::World;
use crate::verify::BadCode;

/// What a session may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls and turns of loops of one program.
    pub fuel: u64,
    /// Sends in each other.
    pub depth: usize,
    /// Values on the stack, of 16 bytes.
    pub stack: usize,
    /// Memory that may be alive, in values of 16 bytes, roughly.
    pub memory: usize,
    /// Memory that is taken before what is unused is looked for, in values.
    pub garbage: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { fuel: u64::MAX, depth: 10_000, stack: 1 << 20, memory: 1 << 22, garbage: 1 << 17 }
    }
}

/// What a program came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The value of its last statement, as text.
    pub text: String,
    /// Whether there is something to say: the value is not nil.
    pub is_something: bool,
    /// The value itself, where it is a text of several lines.
    pub lines: Option<String>,
    /// Whether a transaction stays open.
    pub is_in_transaction: bool,
}

/// A session.
pub struct Session {
    pub(crate) world: World,
    pub(crate) stack: Vec<Val>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) handlers: Vec<Handler>,
    pub(crate) atomics: Vec<Atomic>,
    pub(crate) variables: BTreeMap<Symbol, Val>,
    /// `self` at the prompt.
    pub(crate) lobby: Val,
    /// Whether names of the prompt become slots of the lobby.
    pub(crate) keeps_names: bool,
    pub(crate) limits: Limits,
    pub(crate) fuel: u64,
    pub(crate) left: u32,
    pub(crate) serial: u64,
    /// What a program raised, on the way to its handler.
    pub(crate) raised: Val,
    /// How often the send at hand was turned into another.
    pub(crate) turns: usize,
    /// Whether the store has a transaction open for the session.
    pub(crate) is_open: bool,
    /// Whether a program asked for it, so that it outlives the line.
    pub(crate) is_explicit: bool,
}

impl Session {
    /// A session whose bare names lead to the slots of `lobby`: what it was given to begin with. The variable `mirror` makes
    /// mirrors; take it away with [`forget`](Self::forget) from those who may not change the structure of what they reach.
    #[must_use]
    pub fn new(lobby: Option<Oid>, limits: Limits) -> Self {
        let mut world = World::new();
        world.install();
        let lobby = lobby.map_or(Val::Nil, |oid| Val::Object(world.object_of(oid)));
        let mut session = Self {
            world,
            stack: Vec::new(),
            frames: Vec::new(),
            handlers: Vec::new(),
            atomics: Vec::new(),
            variables: BTreeMap::new(),
            lobby,
            keeps_names: false,
            limits,
            fuel: 0,
            left: 0,
            serial: 0,
            raised: Val::Nil,
            turns: 0,
            is_open: false,
            is_explicit: false,
        };
        let mirrors = session.world.heap.put(Cell::Mirrors);
        let name = session.world.names.symbol("mirror");
        session.variables.insert(name, mirrors);
        crate::prelude::install(&mut session.world);
        session.world.roll_back_nothing();
        session
    }

    /// Gives the session a name for an object.
    pub fn name(&mut self, name: &str, oid: Oid) {
        let symbol = self.world.names.symbol(name);
        let value = Val::Object(self.world.object_of(oid));
        self.variables.insert(symbol, value);
    }

    /// Takes a name away.
    pub fn forget(&mut self, name: &str) {
        let symbol = self.world.names.symbol(name);
        self.variables.remove(&symbol);
    }

    /// The names of the session.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.variables.keys().map(|name| self.world.names.name(*name).to_string()).collect()
    }

    /// Whether a transaction is open that a program asked for.
    #[must_use]
    pub fn is_in_transaction(&self) -> bool {
        self.is_explicit
    }

    /// Compiles and runs what was typed. Without `beginTransaction()` it is one transaction: committed at its end, aborted
    /// by an error. With it, the transaction stays open, and an error leaves it as it is.
    ///
    /// # Errors
    /// What the compiler, the program or the commit says.
    pub fn run_source(&mut self, store: &mut dyn Store, host: &mut dyn Host, source: &str) -> Result<Outcome, Error> {
        let known: Vec<String> = self.names();
        let unit = compile_program(source, |name| known.iter().any(|known| known == name))?;
        self.run_unit(store, host, unit, source)
    }

    /// Runs bytecode as it stands in a store, with its source for the trace: verified first, like any.
    ///
    /// # Errors
    /// As [`run_source`](Self::run_source); [`ErrorKind::BadMethod`].
    pub fn run_bytecode(
        &mut self,
        store: &mut dyn Store,
        host: &mut dyn Host,
        bytecode: &[u8],
        source: &str,
    ) -> Result<Outcome, Error> {
        let Some(unit) = Unit::decode(bytecode) else {
            return Err(*error(ErrorKind::BadMethod, alloc::format!("{:?}", BadCode::Malformed)));
        };
        self.run_unit(store, host, unit, source)
    }

    fn run_unit(
        &mut self,
        store: &mut dyn Store,
        host: &mut dyn Host,
        unit: Unit,
        source: &str,
    ) -> Result<Outcome, Error> {
        let selector = self.world.names.symbol("(prompt)");
        let code = link(unit, source.into(), selector, &mut self.world.names)
            .map_err(|bad| *error(ErrorKind::BadMethod, alloc::format!("the bytecode does not verify: {bad:?}")))?;
        let (lobby, any) = (self.lobby, self.world.any);
        let holder = if let Val::Object(id) = lobby { id } else { any };
        if code.parameters > 0 {
            return Err(*error(ErrorKind::BadMethod, "a program takes no arguments"));
        }
        let saved = self.saved_variables();
        let done = self.in_transaction(store, host, |session, outside| {
            let ran = session.run(outside, code, lobby, holder, &[]);
            if ran.is_ok() || session.is_explicit {
                session.keep_variables(outside)?;
            }
            let value = ran?;
            if let Val::Object(id) = value {
                session.world.ensure(id, outside)?;
            }
            let lines = session.world.text_of(value).filter(|text| text.contains('\n')).map(|text| text.to_string());
            Ok(((session.world.print(value), lines), value != Val::Nil))
        });
        if let (Err(_), Some(saved)) = (&done, saved) {
            self.variables = saved;
        }
        done.map(|(((text, lines), is_something), is_in_transaction)| Outcome {
            text,
            is_something,
            lines,
            is_in_transaction,
        })
    }

    /// Sends a message to an object, as a server does for a request: one transaction.
    ///
    /// # Errors
    /// What the method or the commit says; `Native` where the answer is nothing that another cell understands.
    pub fn send_message(
        &mut self,
        store: &mut dyn Store,
        host: &mut dyn Host,
        receiver: Oid,
        name: &str,
        arguments: &[Argument],
    ) -> Result<Argument, Error> {
        self.send_message_for(store, host, receiver, name, arguments, Some)
    }

    /// The same, for an answer of a certain form: where `accept` makes nothing of it, the transaction is aborted.
    ///
    /// # Errors
    /// As [`send_message`](Self::send_message); [`ErrorKind::Answer`].
    pub fn send_message_for<T>(
        &mut self,
        store: &mut dyn Store,
        host: &mut dyn Host,
        receiver: Oid,
        name: &str,
        arguments: &[Argument],
        accept: impl FnOnce(Argument) -> Option<T>,
    ) -> Result<T, Error> {
        let source = "self.perform(message, arguments)";
        self.in_transaction(store, host, |session, outside| {
            let receiver = Val::Object(session.world.object_of(receiver));
            let mut given = Vec::new();
            for argument in arguments {
                given.push(session.world.answer(argument, object_model::DEPTH_LIMIT)?);
            }
            let value = session.send_from_outside(outside, source, receiver, name, given)?;
            let mut numbered = Vec::new();
            session.world.number_all(value, &mut numbered, outside)?;
            let number = |id: ObjectId| {
                let oid = session.world.cell(id)?.oid;
                oid.ok_or_else(|| error(ErrorKind::Native, "an object without a number"))
            };
            let answer = session.world.argument(value, &number, object_model::DEPTH_LIMIT)?;
            accept(answer).ok_or_else(|| error(ErrorKind::Answer, "the answer is not of the form that was declared"))
        })
        .map(|(answer, _)| answer)
    }

    fn send_from_outside(
        &mut self,
        outside: &mut Outside<'_>,
        source: &str,
        receiver: Val,
        name: &str,
        given: Vec<Val>,
    ) -> Result<Val, Raise> {
        let compiled = crate::compiler::compile_method("(message, arguments) { self.perform(message, arguments) }")
            .map_err(|wrong| error(ErrorKind::Source, wrong.to_string()))?;
        let selector = self.world.names.symbol("(message)");
        let unit = Unit::decode(&compiled.method.bytecode).unwrap_or_default();
        let source: Rc<str> = source.into();
        let code = link(unit, source, selector, &mut self.world.names)
            .map_err(|bad| error(ErrorKind::BadMethod, alloc::format!("{bad:?}")))?;
        let message = Val::Symbol(self.world.names.symbol(name));
        let given = self.world.heap.list(given);
        let any = self.world.any;
        self.run(outside, code, receiver, any, &[message, given])
    }

    /// Runs something in the session's transaction, and commits or aborts it where no program asked for it to stay open.
    fn in_transaction<T>(
        &mut self,
        store: &mut dyn Store,
        host: &mut dyn Host,
        body: impl FnOnce(&mut Self, &mut Outside<'_>) -> Result<T, Raise>,
    ) -> Result<(T, bool), Error> {
        let outside = &mut Outside { store, host };
        self.fuel = self.limits.fuel;
        self.left = 0;
        if !self.is_open {
            self.open(outside).map_err(|raised| *raised)?;
        }
        let done = body(self, outside);
        self.stack.clear();
        self.frames.clear();
        if self.is_explicit {
            return done.map(|value| (value, true)).map_err(|raised| *raised);
        }
        self.is_open = false;
        match done {
            Ok(value) => {
                self.world.commit(outside).map_err(|raised| *raised)?;
                Ok((value, false))
            }
            Err(raised) => {
                self.world.abort(outside);
                Err(*raised)
            }
        }
    }

    /// Opens the session's transaction in the store.
    pub(crate) fn open(&mut self, outside: &mut Outside<'_>) -> Result<(), Raise> {
        self.world.begin(outside)?;
        self.is_open = true;
        Ok(())
    }
}
