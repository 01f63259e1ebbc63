//! The help texts. They are the documentation of the JSON that each command answers.

pub(crate) const ALL: &str = "\
telosfs COMMAND [OPTIONS]

Reads a TelOS state file without booting it, and never writes to it.

  verify               read everything and name each damage
  log                  the transactions, newest first
  show OID             an object
  history OID          its revisions, newest first
  diff TID1 TID2       the objects and slots that differ between two transactions
  refs OID             the objects that an object refers to
  referrers OID        the objects that refer to an object
  graph                all objects and references, for Graphviz or a browser
  export               all objects as JSON, or the whole history as a FileStorage of ZODB
  recover OUT          copies what can be read of a damaged file into a new one
  help COMMAND         what a command takes and answers; COMMAND --help does the same

  --state FILE         the state file; else the variable STATE, else telos_state.fs
  --format FORMAT      text or json; some commands have others

An OID is `root`, or 16 hexadecimal digits with or without `#` before them (a shell takes an unquoted `#` for a comment), or
the first of them, as many as tell it from all others. A TID is a number; where one is wanted, a time will do:
2026-01-02, 2026-01-02T03:04:05 (UTC), or 90s, 15m, 2h, 3d for so long ago.

Exit status: 0 fine, 1 damage was found or got in the way, 2 the command line makes no sense, 3 the file cannot be read or
holds no state of this version, 4 there is no such object or transaction, 5 the answer cannot be written.";

pub(crate) const VERIFY: &str = "\
telosfs verify [--format text|json]

Reads everything that counts once and names each damage: what it is, its segment and offset, where that is in the file, and
the objects that it concerns. Also reads files that are too damaged to be opened. Exit status 1 if there is damage.

JSON: file, opens (bool), refused (why it does not open, or null), last (TID), transactions, records, batches,
damages: [{what: identity|root|index|record|transaction|batch, segment, offset, byte (of the file), tid, oids: [OID]}];
segment, offset, byte and tid are null where there is none.";

pub(crate) const LOG: &str = "\
telosfs log [-n N] [--since TID|TIME] [--format text|json]

The transactions, newest first: N of them at most, those from a TID or time on.

JSON: [{tid, time, user, description, extension (hexadecimal), objects: [{oid, bytes, deleted}]}].";

pub(crate) const SHOW: &str = "\
telosfs show OID [--at TID|TIME] [--format text|json]

An object, as it stands or as it stood after a transaction or at a time. What is no object of slots is shown as schema,
version, length and its first bytes.

JSON: oid, name, tid, time, next (TID of the next revision, or null), bytes, schema, version, references: [OID], and either
slots: [{name, kind: data|method|parent, value, private, constant, from (the trait's OID, or null)}] or payload (hexadecimal).
Values are null, true, 1, \"text\", [list], or one of {float}, {bytes (hexadecimal)}, {reference (OID)}, {map: [[name, value]]},
{capability: {kind, service, rights}}, {native: {endpoint_slot, label}}, {primitive}, {symbol}, {method: {source, sends}}.";

pub(crate) const HISTORY: &str = "\
telosfs history OID [-n N] [--format text|json]

The revisions of an object, newest first.

JSON: [{tid, time, bytes, deleted, user, description}].";

pub(crate) const DIFF: &str = "\
telosfs diff TID1 TID2 [--format text|json]

The objects that differ between the states after two transactions, or at two times, and the slots in which they differ.

JSON: {from, to, objects: [{oid, name, change: created|deleted|changed, slots: [{name, old, new}]}]}; old and new are values
as `show` has them, absent where there is no such slot. What is no object of slots has no slots.";

pub(crate) const REFERENCES: &str = "\
telosfs refs OID [--at TID|TIME] [--format text|json]

The objects that an object refers to, and the slots that do.

JSON: [{oid, name, slots: [name], exists}].";

pub(crate) const REFERRERS: &str = "\
telosfs referrers OID [--format text|json]

The objects that refer to an object as they stand, and the slots that do. Reads all objects.

JSON: [{oid, name, slots: [name]}].";

pub(crate) const GRAPH: &str = "\
telosfs graph [--format dot|html|json]

All objects as they stand, with their references. `dot` is for Graphviz: `... | dot -Tsvg`. `html` is one page that needs
nothing else: objects in columns by their distance from the root; a click shows an object and what it is connected to.

JSON: {nodes: [{oid, name, bytes, distance (from the root; null: not reachable)}], edges: [{from, to, slots: [name]}]}.";

pub(crate) const EXPORT: &str = "\
telosfs export [--format json|zodb] [--output FILE]

json: all objects as they stand: {format: \"telosfs 1\", last, root, objects: [as `show` has them]}.
zodb: a FileStorage that ZODB 5 and 6 open, with every transaction that is left, and their users and descriptions. Each object
is a PersistentMapping from the names of slots to values; `parent*` and `method()` are marked so. It has the attributes
telos_oid and telos_schema besides, and the root is the root. Capabilities are their recipes, as dictionaries.

FILE must not exist; without it the answer goes to standard output.";

pub(crate) const RECOVER: &str = "\
telosfs recover OUT [--format text|json]

Copies every transaction and record that can be read of a damaged state file into a new file OUT, which must not exist, and
says what is lost. OIDs and TIDs stay as they are. Exit status 1 if anything is lost.

JSON: {out, transactions, records, lost: [{oid, tid, segment, offset, byte, stands_at (TID of the state that the object has
in the copy, or null)}], damages: as `verify` has them, dangling (references to objects that are not there)}.";
