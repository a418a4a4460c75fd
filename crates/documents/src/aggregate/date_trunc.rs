//! `$dateTrunc`: the beginning of the bin of time that a moment is in.
//!
//! Bins are counted from 2000-01-01T00:00 of the time zone. Years to days are counted in the calendar of the zone; hours
//! and shorter units in elapsed time. The rules of time zones are those of the database that this version of the service
//! brings (see `docs/guides/documents.md`), never the machine's.

use super::syntax::{DateBins, DateUnit};
use super::value::{Value, type_name};
use crate::error::{Error, Result};
use crate::fuel::Fuel;
use bson::raw::RawBson;
use bson::{DateTime, RawBsonRef};
use jiff::civil::{Date, date};
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp};
use std::sync::LazyLock;

/// The cost of finding the rule of a time zone.
const COST: u64 = 500;
/// Where bins are counted from.
const REFERENCE: Date = date(2000, 1, 1);
/// The weekday of the reference, a Saturday, counted from Monday.
const REFERENCE_WEEKDAY: i8 = 5;

/// The time zones that the library brings.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The time zone of a name of the IANA database, or of an offset (`+05:30`, `+0530`, `+05`).
///
/// # Errors
/// The sentence that says what is wrong with it.
pub fn parse_zone(text: &str) -> Result<TimeZone, String> {
    if text.starts_with(['+', '-']) {
        return offset(text).ok_or_else(|| "Must be an offset such as `+05:30`.".to_owned());
    }
    // The library ignores the case of names; MongoDB does not.
    let zone = ZONES.get(text).ok().filter(|zone| zone.iana_name() == Some(text) || text == "UTC");
    zone.ok_or_else(|| {
        "Must be a time zone's name, such as `Europe/Berlin`, or an offset, such as `+05:30`.".to_owned()
    })
}

fn offset(text: &str) -> Option<TimeZone> {
    let (sign, digits) = (if text.starts_with('-') { -1 } else { 1 }, text.get(1..)?);
    let digits = match digits.len() {
        2 | 4 => digits.to_owned(),
        5 if digits.as_bytes()[2] == b':' => digits.replacen(':', "", 1),
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: i32 = digits.get(..2)?.parse().ok()?;
    let minutes: i32 =
        digits.get(2..).filter(|rest| !rest.is_empty()).map_or(Some(0), |rest| rest.parse().ok())?;
    if hours > 23 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok().map(TimeZone::fixed)
}

/// The beginning of the bin of `value`.
pub fn truncate<'a>(value: &Value<'_>, bins: &DateBins, at: &str, fuel: &Fuel<'_>) -> Result<Value<'a>> {
    fuel.spend(COST)?;
    if value.is_nullish() {
        return Ok(Value::Made(RawBson::Null));
    }
    let millis = match value.comparable() {
        RawBsonRef::DateTime(date) => date.timestamp_millis(),
        RawBsonRef::Timestamp(timestamp) => i64::from(timestamp.time) * 1_000,
        RawBsonRef::ObjectId(id) => id.timestamp().timestamp_millis(),
        other => {
            let detail = format!("A document gives {} here: only dates can be truncated.", type_name(other));
            return Err(Error::invalid_field(at, detail));
        }
    };
    match begin(millis, bins) {
        Some(begin) => Ok(Value::Made(RawBson::DateTime(DateTime::from_millis(begin)))),
        None => {
            Err(Error::invalid_field(at, "A document gives a date here that is before 0001 or after 9999."))
        }
    }
}

/// The beginning of the bin, in milliseconds since 1970; `None` beyond the years 1 to 9999.
fn begin(millis: i64, bins: &DateBins) -> Option<i64> {
    let moment = Timestamp::from_millisecond(millis).ok()?;
    let here = bins.zone.to_datetime(moment);
    if !(1..=9999).contains(&here.year()) {
        return None;
    }
    let begins = match bins.unit {
        DateUnit::Year => {
            let years = floor(i64::from(here.year()) - 2000, bins.size);
            day(Span::new().try_years(years).ok()?)?
        }
        DateUnit::Quarter | DateUnit::Month => {
            let size = if bins.unit == DateUnit::Quarter { bins.size.checked_mul(3)? } else { bins.size };
            let months = (i64::from(here.year()) - 2000) * 12 + i64::from(here.month()) - 1;
            day(Span::new().try_months(floor(months, size)).ok()?)?
        }
        DateUnit::Week | DateUnit::Day => {
            let days = i64::from(REFERENCE.until(here.date()).ok()?.get_days());
            let (first, size) = match bins.unit {
                DateUnit::Week => {
                    let first = (bins.week_start - REFERENCE_WEEKDAY).rem_euclid(7);
                    (i64::from(first), bins.size.checked_mul(7)?)
                }
                _ => (0, bins.size),
            };
            day(Span::new().try_days(first + floor(days - first, size)).ok()?)?
        }
        DateUnit::Hour | DateUnit::Minute | DateUnit::Second | DateUnit::Millisecond => {
            let size = bins.size.checked_mul(millis_of(bins.unit))?;
            let reference = moment_of(REFERENCE, &bins.zone)?;
            return Some(reference + floor(millis - reference, size));
        }
    };
    moment_of(begins, &bins.zone)
}

/// The multiple of `size` at or below `value`.
const fn floor(value: i64, size: i64) -> i64 {
    value - value.rem_euclid(size)
}

fn day(span: Span) -> Option<Date> {
    REFERENCE.checked_add(span).ok().filter(|day| day.year() >= 1)
}

fn moment_of(day: Date, zone: &TimeZone) -> Option<i64> {
    zone.to_timestamp(day.to_datetime(jiff::civil::Time::midnight())).ok().map(Timestamp::as_millisecond)
}

const fn millis_of(unit: DateUnit) -> i64 {
    match unit {
        DateUnit::Hour => 3_600_000,
        DateUnit::Minute => 60_000,
        DateUnit::Second => 1_000,
        _ => 1,
    }
}
