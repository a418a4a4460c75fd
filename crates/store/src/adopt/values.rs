//! Reads single values of the other program's records.

use bson::{Bson, Document};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::ops::Range;
use tenantry_domain::clock::to_millisecond;

/// An id of 12 bytes: an ObjectId, or its 24 hexadecimal digits.
pub(super) fn id(value: &Bson) -> Option<[u8; 12]> {
    match value {
        Bson::ObjectId(id) => Some(id.bytes()),
        Bson::String(text) => {
            let mut bytes = [0; 12];
            bson::oid::ObjectId::parse_str(text).ok().map(|id| {
                bytes.copy_from_slice(&id.bytes());
                bytes
            })
        }
        _ => None,
    }
}

/// A value as reports show it.
pub(super) fn shown(value: Option<&Bson>) -> String {
    match value {
        Some(Bson::ObjectId(id)) => id.to_hex(),
        Some(Bson::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "(none)".to_owned(),
    }
}

/// A text that is not empty.
pub(super) fn text(value: &Bson) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

/// A password hash. Programs that forget to decode what their library returns have stored it as bytes.
pub(super) fn hash(value: &Bson) -> Option<String> {
    match value {
        Bson::String(text) => Some(text.clone()),
        Bson::Binary(binary) => String::from_utf8(binary.bytes.clone()).ok(),
        _ => None,
    }
}

/// A time: a date; a text of ISO 8601, in UTC unless it says otherwise; or a number of seconds, or of milliseconds.
pub(super) fn time(value: &Bson) -> Option<Timestamp> {
    let time = match value {
        Bson::DateTime(date) => Timestamp::from_millisecond(date.timestamp_millis()).ok()?,
        Bson::Timestamp(timestamp) => Timestamp::from_second(i64::from(timestamp.time)).ok()?,
        Bson::Int32(number) => since_epoch(f64::from(*number))?,
        Bson::Int64(number) => since_epoch(*number as f64)?,
        Bson::Double(number) => since_epoch(*number)?,
        Bson::String(text) => {
            let civil =
                || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp());
            let number = || since_epoch(text.parse().ok()?);
            text.parse().ok().or_else(civil).or_else(number)?
        }
        _ => return None,
    };
    Some(to_millisecond(time))
}

/// A time after 1973 as a number: smaller numbers are no times.
fn since_epoch(number: f64) -> Option<Timestamp> {
    const SECONDS: Range<f64> = 1e8..1e11;
    const MILLISECONDS: Range<f64> = 1e11..1e14;
    let milliseconds = if SECONDS.contains(&number) {
        number * 1000.0
    } else if MILLISECONDS.contains(&number) {
        number
    } else {
        return None;
    };
    Timestamp::from_millisecond(milliseconds.round() as i64).ok()
}

/// The value at the first of these fields that `read` takes.
pub(super) fn first<T>(record: &Document, fields: &[&str], read: impl Fn(&Bson) -> Option<T>) -> Option<T> {
    fields.iter().find_map(|field| read(record.get(field)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::spec::BinarySubtype;
    use bson::{Binary, DateTime as Date, oid::ObjectId};

    #[test]
    fn id_is_read_from_object_id_and_its_digits() {
        let bytes = *b"twelve bytes";
        assert_eq!(id(&Bson::from(ObjectId::from_bytes(bytes))), Some(bytes));
        assert_eq!(id(&Bson::from(ObjectId::from_bytes(bytes).to_hex())), Some(bytes));
        for other in [Bson::from("1"), Bson::from(7), Bson::from("00000000-0000-0000-0000-000000000000")] {
            assert_eq!(id(&other), None, "{other}");
        }
    }

    #[test]
    fn time_is_read_from_date_and_text() {
        let expected = Timestamp::from_millisecond(1_700_000_000_123).unwrap();
        for value in [
            Bson::from(Date::from_millis(1_700_000_000_123)),
            Bson::from("2023-11-14T22:13:20.123456"),
            Bson::from("2023-11-14T22:13:20.123Z"),
            Bson::from("2023-11-14T23:13:20.123+01:00"),
            Bson::from(1_700_000_000_123_i64),
            Bson::from(1_700_000_000.123_45),
            Bson::from("1700000000.1234"),
        ] {
            assert_eq!(time(&value), Some(expected), "{value}");
        }
        for other in
            [Bson::from("yesterday"), Bson::from(""), Bson::from(1), Bson::from(true), Bson::from(f64::NAN)]
        {
            assert_eq!(time(&other), None, "{other}");
        }
    }

    #[test]
    fn hash_is_read_from_text_and_bytes() {
        let bytes = Binary { subtype: BinarySubtype::Generic, bytes: b"$2b$12$x".to_vec() };
        assert_eq!(hash(&Bson::from(bytes)).as_deref(), Some("$2b$12$x"));
        assert_eq!(hash(&Bson::from("$2b$12$x")).as_deref(), Some("$2b$12$x"));
        assert_eq!(hash(&Bson::Null), None);
    }
}
