//! Persistent objects, shown.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;

use crate::command::Form;
use crate::failure::Failure;
use crate::records::{self, Records};
use crate::servers::Servers;
use crate::text::Oid;

/// An object, the root without an OID.
///
/// # Errors
/// Those of the calls; what is wrong with the record.
pub fn inspect(servers: &Servers, records: &mut Records, oid: Option<u64>, form: Form) -> Result<String, Failure> {
    let oid = match oid {
        Some(oid) => oid,
        None => records::root(servers)?,
    };
    show(oid, &records.read(servers, oid)?, form)
}

/// A heading, and the slots or the bytes of a record.
fn show(oid: u64, record: &[u8], form: Form) -> Result<String, Failure> {
    let (oid, bytes) = (oid, record.len());
    match form {
        Form::Bytes => Ok(format!("object {}: {bytes} bytes\n{}", Oid(oid), dump(record))),
        Form::Slots => {
            let object = records::object_of(oid, record)?;
            let slots = object.slots().len();
            Ok(format!("object {}: {slots} slots, {bytes} bytes\n{}", Oid(oid), object.render()))
        }
    }
}

/// Rows of 16 bytes: offset, hexadecimal, and the ASCII among it.
fn dump(record: &[u8]) -> String {
    let mut text = String::new();
    for (index, bytes) in record.chunks(16).enumerate() {
        let _ = write!(text, "{:06x} ", index * 16);
        for byte in bytes {
            let _ = write!(text, " {byte:02x}");
        }
        text.extend(core::iter::repeat_n("   ", 16 - bytes.len()));
        text.push_str("  ");
        text.extend(bytes.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        }));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_model::{BadObject, Object, Oid as ObjectId, Value};
    use proptest::prelude::*;

    fn encoded(object: &Object) -> Vec<u8> {
        let mut bytes = Vec::new();
        object.to_record().expect("small").encode(&mut bytes).expect("small");
        bytes
    }

    #[test]
    fn an_object_is_shown_by_its_slots() {
        let object = Object::new()
            .parent("parent", Some(ObjectId::new(3)))
            .data("name", Value::text("shell"))
            .numbered(ObjectId::new(7));
        let record = encoded(&object);
        let expected = format!(
            "object {}: 3 slots, {} bytes\nparent* = {}\nname    = \"shell\"\noid     = {}\n",
            Oid(7),
            record.len(),
            Oid(3),
            Oid(7)
        );
        assert_eq!(show(7, &record, Form::Slots), Ok(expected));
    }

    #[test]
    fn what_is_no_object_is_refused_and_can_be_dumped() {
        let mut record = encoded(&Object::new().data("name", Value::Nil));
        record.pop();
        assert_eq!(show(7, &record, Form::Slots), Err(Failure::Corrupt(7)));
        assert!(show(7, &record, Form::Bytes).is_ok_and(|text| text.starts_with("object #0000000000000007: ")));
        let mut other = Object::new().to_record().expect("small");
        other.schema = 9;
        let mut record = Vec::new();
        other.encode(&mut record).expect("small");
        assert_eq!(show(7, &record, Form::Slots), Err(Failure::NoObject(7, BadObject::OtherSchema { found: 9 })));
    }

    #[test]
    fn rows_of_sixteen() {
        let expected = "\
000000  74 65 6c 6f 73 20 00 ff 0a 7f 61 62 63 64 65 66  telos ....abcdef
000010  67                                               g
";
        assert_eq!(dump(b"telos \x00\xff\n\x7fabcdefg"), expected);
        assert_eq!(dump(b""), "");
    }

    proptest! {
        #[test]
        fn any_record_is_shown_or_refused(record in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = dump(&record);
            prop_assert!(text.is_ascii() && !text.replace('\n', "").contains(char::is_control));
            prop_assert_eq!(text.lines().count(), record.len().div_ceil(16));
            let _ = show(1, &record, Form::Slots);
        }
    }
}
