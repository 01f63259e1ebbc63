//! An open state file, and the names by which people know what is in it.
//!
//! Inside, objects have dense numbers; people know them by the images of these under the state's own permutation, as `#` and
//! 16 hexadecimal digits. Everything that is shown goes through [`Names`], everything that is typed through
//! [`State::resolve`].

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use object_model::{Object, Value};
use object_store::{
    DeviceState, FileStorage, Load, NoClock, Oid, OidPermutation, OpenError, OpenReport, PublicOid, Record, Storage,
    StorageError, Tid,
};

use crate::console::Console;
use crate::device::ReadOnlyFile;
use crate::failure::{Failure, Status};
use crate::{locks, point};

/// How many objects an ambiguous prefix is told of.
const CANDIDATES: usize = 4;

/// A state file, opened for reading.
pub struct State {
    /// The store in it.
    pub store: FileStorage<ReadOnlyFile, NoClock>,
    /// What opening found.
    pub report: OpenReport,
    /// The names of its objects.
    pub names: Names,
    path: PathBuf,
}

/// What people call objects.
pub struct Names {
    permutation: OidPermutation,
    by_oid: BTreeMap<Oid, String>,
}

impl Names {
    /// The names under a key, before any object has been read.
    #[must_use]
    pub fn new(key: &[u8; 16]) -> Names {
        Names { permutation: OidPermutation::new(key), by_oid: BTreeMap::new() }
    }

    /// An OID as people see it.
    #[must_use]
    pub fn oid(&self, oid: Oid) -> String {
        format!("#{:016x}", self.permutation.outside(oid).number())
    }

    /// What the root calls an object, if it does.
    #[must_use]
    pub fn name(&self, oid: Oid) -> Option<&str> {
        if oid == Oid::ROOT { Some("root") } else { self.by_oid.get(&oid).map(String::as_str) }
    }

    /// The name of an object: what the root calls it, else what its slot `name` says, else nothing.
    #[must_use]
    pub fn label(&self, oid: Oid, record: &Record) -> String {
        if let Some(name) = self.name(oid) {
            return name.into();
        }
        match Object::from_record(record).ok().as_ref().and_then(|object| object.get("name")) {
            Some(Value::Text(name)) => name.escape_debug().to_string(),
            _ => String::new(),
        }
    }
}

/// Opens a file that is to hold a state, for reading only. A machine that has it open is warned of.
///
/// # Errors
/// It cannot be read.
pub fn open_file(path: &Path, console: &mut Console<'_>) -> Result<ReadOnlyFile, Failure> {
    let shown = path.display();
    let cannot = |cause| Failure::new(Status::CannotOpen, format!("{shown} cannot be read: {cause}"));
    let metadata = std::fs::metadata(path).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => Failure::new(
            Status::CannotOpen,
            format!(
                "there is no {shown}; name the state file (STATE=FILE, or --state FILE), or make one with `make run`"
            ),
        ),
        _ => cannot(cause),
    })?;
    if metadata.is_dir() {
        return Err(Failure::new(Status::CannotOpen, format!("{shown} is a folder, and no state file")));
    }
    if locks::is_open_in_qemu(&metadata) {
        console.note(&format!(
            "warning: a machine has {shown} open. Nothing is disturbed, but what it writes meanwhile may look like damage here; \
             end it (`shutdown`) for an answer that is certain"
        ));
    }
    File::open(path).and_then(ReadOnlyFile::new).map_err(cannot)
}

/// Why a file is not opened, and what to do.
#[must_use]
pub fn refusal(path: &Path, error: OpenError) -> Failure {
    let shown = path.display();
    let (status, text) = match error {
        OpenError::State(DeviceState::Blank) => {
            (Status::CannotOpen, format!("{shown} is blank; `make run` formats it"))
        }
        OpenError::State(DeviceState::HalfFormatted) => {
            (Status::CannotOpen, format!("the formatting of {shown} was interrupted; `make run` formats it again"))
        }
        OpenError::State(DeviceState::Foreign | DeviceState::Valid) => {
            (Status::CannotOpen, format!("{shown} holds something else than a TelOS state; is it the right file?"))
        }
        OpenError::State(DeviceState::WrongVersion { found, supported }) => (
            Status::CannotOpen,
            format!(
                "{shown} is a state of format version {found}, and this program reads version {supported}; use the telosfs of \
                 the tree that wrote it"
            ),
        ),
        OpenError::State(DeviceState::UnknownFeatures(bits)) => (
            Status::CannotOpen,
            format!("{shown} uses features that this program does not know ({bits:#x}); use a later telosfs"),
        ),
        OpenError::State(DeviceState::NoRoot) => (
            Status::Damage,
            format!(
                "both roots of {shown} are damaged, and with them the key of everything else: use a copy of the file"
            ),
        ),
        OpenError::TooSmall { needed, found } => (
            Status::Damage,
            format!("{shown} was cut: it had {needed} sectors of 512 bytes and has {found}; use a whole copy of it"),
        ),
        OpenError::BadRoot => {
            (Status::Damage, format!("the root of {shown} contradicts itself: use a copy of the file"))
        }
        OpenError::AmbiguousRoot => (
            Status::Damage,
            format!(
                "a root of {shown} is damaged, and what it had added cannot be told for certain; try `telosfs recover OUT`"
            ),
        ),
        OpenError::Rot { segment, offset } => (
            Status::Damage,
            format!(
                "{shown} is damaged in segment {} at offset {offset}; `telosfs verify` tells more, `telosfs recover OUT` copies \
                 what can be read",
                segment.number()
            ),
        ),
        OpenError::Device(_) => (Status::CannotOpen, format!("the host cannot read all of {shown}")),
        OpenError::OutOfMemory => (Status::CannotOpen, format!("memory is short for reading {shown}")),
    };
    Failure { status, text }
}

impl State {
    /// Opens a state file.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn open(path: &Path, console: &mut Console<'_>) -> Result<State, Failure> {
        let device = open_file(path, console)?;
        let mut state = State::over(path, device)?;
        state.learn_names();
        Ok(state)
    }

    /// A state of which nothing has been read but what opening reads: objects have no names but their OIDs.
    ///
    /// # Errors
    /// The file is no state, or too damaged.
    pub fn over(path: &Path, device: ReadOnlyFile) -> Result<State, Failure> {
        let (store, report) = FileStorage::open_read_only(device).map_err(|refused| refusal(path, refused.error))?;
        let names = Names::new(store.permutation_key());
        Ok(State { store, report, names, path: path.into() })
    }

    /// The names that the root gives. Where it cannot be read, objects go without.
    fn learn_names(&mut self) {
        let Ok(Load::Data { record, .. }) = self.store.load_before(Oid::ROOT, Tid::MAX) else { return };
        let Ok(root) = Object::from_record(&record) else { return };
        for slot in root.slots() {
            if let Some(oid) = root.target(&slot.value) {
                self.names.by_oid.entry(oid).or_insert_with(|| slot.name.escape_debug().to_string());
            }
        }
    }

    /// What a failed read means here.
    #[must_use]
    pub fn failure(&self, error: StorageError) -> Failure {
        let shown = self.path.display();
        match error {
            StorageError::Rot { segment, offset } => Failure::new(
                Status::Damage,
                format!(
                    "{shown} is damaged in segment {} at offset {offset} (byte {} of the file); `telosfs verify` names the \
                     objects, `telosfs recover OUT` copies what can be read",
                    segment.number(),
                    self.store.device_address(segment, offset)
                ),
            ),
            StorageError::Malformed => Failure::new(
                Status::Damage,
                format!(
                    "{shown} has a record that is none, though its checksum is right: whoever wrote it made a mistake"
                ),
            ),
            StorageError::OutOfMemory => {
                Failure::new(Status::CannotOpen, format!("memory is short for reading {shown}"))
            }
            _ => Failure::new(Status::CannotOpen, format!("the host cannot read all of {shown}")),
        }
    }

    /// A state of an object, as [`Storage::load_before`] tells it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn load(&mut self, oid: Oid, before: Tid) -> Result<Load, Failure> {
        self.store.load_before(oid, before).map_err(|error| self.failure(error))
    }

    /// All objects that have a revision, in the order of their numbers; `visit` gets each with its state before `before`,
    /// where it has one.
    ///
    /// # Errors
    /// One cannot be read, or `visit` fails.
    pub fn each_object(
        &mut self,
        before: Tid,
        console: &mut Console<'_>,
        mut visit: impl FnMut(&Names, &mut Console<'_>, Oid, Tid, Record) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut meter = console.meter("objects read");
        let mut after = None;
        while let Some(oid) = self.store.next_object(after).map_err(|error| self.failure(error))? {
            after = Some(oid);
            if let Load::Data { record, tid, .. } = self.load(oid, before)? {
                visit(&self.names, console, oid, tid, record)?;
            }
            meter.step(console.notes);
        }
        meter.end(console.notes);
        Ok(())
    }

    /// The object that a text names: `root`, or the first digits of its OID, with or without `#`.
    ///
    /// # Errors
    /// It names none, or several.
    pub fn resolve(&mut self, text: &str) -> Result<Oid, Failure> {
        let digits = text.strip_prefix('#').unwrap_or(text);
        if digits == "root" {
            return Ok(Oid::ROOT);
        }
        let right = (1..=16).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !right {
            return Err(Failure::usage(format!(
                "`{text}` is no OID: `root`, or up to 16 hexadecimal digits, as `log`, `graph` and `refs` show them"
            )));
        }
        let digits = digits.to_ascii_lowercase();
        if digits.len() == 16 {
            let public = u64::from_str_radix(&digits, 16).map_err(|_| Failure::usage(text))?;
            let oid = self.names.permutation.inside(PublicOid::new(public));
            let before = oid.number().checked_sub(1).map(Oid::new);
            let found = self.store.next_object(before).map_err(|error| self.failure(error))?;
            return if found == Some(oid) { Ok(oid) } else { Err(Failure::not_found(no_object(text, &self.path))) };
        }
        let mut found = Vec::new();
        let mut after = None;
        while let Some(oid) = self.store.next_object(after).map_err(|error| self.failure(error))? {
            after = Some(oid);
            if self.names.oid(oid).get(1..).is_some_and(|name| name.starts_with(&digits)) {
                found.push(oid);
            }
        }
        match found.as_slice() {
            [] => Err(Failure::not_found(no_object(text, &self.path))),
            &[one] => Ok(one),
            many => {
                let shown: Vec<String> = many.iter().take(CANDIDATES).map(|&oid| self.names.oid(oid)).collect();
                let more = if many.len() > CANDIDATES { ", ..." } else { "" };
                Err(Failure::usage(format!("{} objects begin with `{text}`: {}{more}", many.len(), shown.join(", "))))
            }
        }
    }

    /// The bound for loading the state that stood after a transaction or at a time.
    ///
    /// # Errors
    /// That past was packed away, or has not come yet.
    pub fn before(&self, at: Option<Tid>) -> Result<Tid, Failure> {
        let Some(at) = at else { return Ok(Tid::MAX) };
        let (horizon, last) = (self.store.horizon(), self.store.last_transaction());
        if at < horizon {
            return Err(Failure::not_found(format!(
                "the past before TID {} ({}) was packed away",
                horizon.number(),
                point::date(horizon)
            )));
        }
        if at > last {
            return Err(Failure::not_found(format!(
                "the last transaction is TID {} ({}), and what comes after it is not known yet",
                last.number(),
                point::date(last)
            )));
        }
        Ok(at.after())
    }
}

fn no_object(text: &str, path: &Path) -> String {
    format!("no object in {} is called `{text}`", path.display())
}
