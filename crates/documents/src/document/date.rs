//! Moments as text: RFC 3339, and the forms beyond it that tools of MongoDB print.
//!
//! Python's `json_util` writes an offset without a colon, and down to seconds where a zone has them. libbson
//! writes years beyond 9999 as they are, and `toISOString` of JavaScript with a sign and six digits. A text
//! without an offset is ambiguous and is refused.

use bson::DateTime;

/// Digits of a year. One of nine is far beyond what 64 bits of milliseconds hold.
const YEAR_MAX_DIGITS: usize = 9;

/// The moment that `text` gives.
pub fn parse(text: &str) -> Option<DateTime> {
    DateTime::parse_rfc3339_str(text).ok().or_else(|| beyond_rfc_3339(text).map(DateTime::from_millis))
}

/// Milliseconds since 1970.
fn beyond_rfc_3339(text: &str) -> Option<i64> {
    let mut rest = Rest(text);
    let year = rest.year()?;
    rest.take("-")?;
    let month = rest.two_digits(1..=12)?;
    rest.take("-")?;
    let day = rest.two_digits(1..=days_of(year, month))?;
    rest.take("T").or_else(|| rest.take("t")).or_else(|| rest.take(" "))?;
    let hour = rest.two_digits(0..=23)?;
    rest.take(":")?;
    let minute = rest.two_digits(0..=59)?;
    rest.take(":")?;
    let second = rest.two_digits(0..=59)?;
    let milliseconds = rest.fraction()?;
    let seconds = (hour * 60 + minute) * 60 + second - rest.offset()?;
    let days = days_since_1970(year, month, day)?;
    days.checked_mul(86_400)?.checked_add(seconds)?.checked_mul(1_000)?.checked_add(milliseconds)
}

/// The unread rest of a text.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn take(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    fn digits(&mut self, most: usize) -> Option<&str> {
        let count = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        (1..=most).contains(&count).then_some(digits)
    }

    fn two_digits(&mut self, allowed: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let digits = self.0.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        let number = digits.parse().ok()?;
        self.0 = &self.0[2..];
        allowed.contains(&number).then_some(number)
    }

    /// At least four digits; with a sign at least six, as ISO 8601 has it.
    fn year(&mut self) -> Option<i64> {
        let (sign, least) = match self.0.as_bytes().first()? {
            b'+' => (1, 6),
            b'-' => (-1, 6),
            _ => (1, 4),
        };
        if least == 6 {
            self.0 = &self.0[1..];
        }
        let digits = self.digits(YEAR_MAX_DIGITS).filter(|digits| digits.len() >= least)?;
        let year: i64 = digits.parse().ok()?;
        // There is no year "minus zero".
        (sign > 0 || year > 0).then_some(sign * year)
    }

    /// The fraction of a second, truncated to milliseconds.
    fn fraction(&mut self) -> Option<i64> {
        if self.take(".").is_none() {
            return Some(0);
        }
        let digits = self.digits(usize::MAX)?;
        let thousandths: String = digits.chars().chain("00".chars()).take(3).collect();
        thousandths.parse().ok()
    }

    /// The offset from UTC in seconds, and nothing behind it.
    fn offset(&mut self) -> Option<i64> {
        if matches!(self.0, "Z" | "z") {
            return Some(0);
        }
        let sign = match self.0.as_bytes().first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.0 = &self.0[1..];
        let mut seconds = self.two_digits(0..=23)? * 3_600;
        let separator = if self.0.starts_with(':') { ":" } else { "" };
        for unit in [60, 1] {
            if self.0.is_empty() {
                break;
            }
            self.take(separator)?;
            seconds += self.two_digits(0..=59)? * unit;
        }
        self.0.is_empty().then_some(sign * seconds)
    }
}

const fn days_of(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// In the proleptic Gregorian calendar. A year here begins in March, so that the leap day is its last day.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    const FROM_YEAR_0_TO_1970: i64 = 719_468;
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era.checked_mul(DAYS_OF_400_YEARS)?.checked_add(day_of_era)? - FROM_YEAR_0_TO_1970)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn milliseconds(text: &str) -> Option<i64> {
        parse(text).map(DateTime::timestamp_millis)
    }

    #[test]
    fn date_parser_reads_formats_of_common_tools() {
        for (text, expected) in [
            // Python's json_util of pymongo 4.20.
            ("2026-01-02T03:04:05.678+0530", 1_767_303_245_678),
            ("2026-01-02T03:04:05-010203", 1_767_326_768_000),
            // libbson.
            ("10000-01-01T00:00:00Z", 253_402_300_800_000),
            ("36536598-01-28T21:54:06.976Z", 1_152_921_504_606_846_976),
            // JavaScript.
            ("+010000-01-01T00:00:00.001Z", 253_402_300_800_001),
            ("-000001-12-31T23:59:59.999Z", -62_167_219_200_001),
            ("1970-01-01T01:00:00+01", 0),
            ("1970-01-01T00:00:00.0019Z", 1),
        ] {
            assert_eq!(milliseconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn date_parser_rejects_text_without_a_moment() {
        for text in [
            "",
            "2026-01-02",
            "2026-01-02T03:04:05",
            "2026-01-02T03:04:05+5",
            "2026-01-02T03:04:05+05:3",
            "2026-01-02T03:04:05+0530Z",
            "2026-01-02T03:04:05+05:3000",
            "2026-02-29T00:00:00+0000",
            "2026-13-01T00:00:00+0000",
            "2026-01-01T24:00:00+0000",
            "2026-01-01T00:00:00.+0000",
            "-000000-01-01T00:00:00Z",
            "+2026-01-01T00:00:00Z",
            "999999999-01-01T00:00:00Z",
            "9999999999-01-01T00:00:00Z",
            "2026-01-0é",
        ] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn date_parser_agrees_with_rfc_3339(ms in -62_135_596_800_000_i64..253_402_300_800_000) {
            let text = DateTime::from_millis(ms).try_to_rfc3339_string().unwrap();
            prop_assert_eq!(beyond_rfc_3339(&text), Some(ms), "{}", text);
        }
    }
}
