//! From when to when a certificate is valid (RFC 5280, 4.1.2.5).
//!
//! rustls checks the certificates of others and gives no dates of our own. Only as much DER is read here as leads to them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The dates of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its first moment.
    pub not_before: Timestamp,
    /// Its last moment.
    pub not_after: Timestamp,
}

impl Validity {
    /// The dates of this certificate; `None` if it is none.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (certificate, _) = value(certificate, SEQUENCE)?;
        let (signed, _) = value(certificate, SEQUENCE)?;
        let rest = value(signed, VERSION).map_or(signed, |(_, rest)| rest);
        let (_serial, rest) = value(rest, INTEGER)?;
        let (_algorithm, rest) = value(rest, SEQUENCE)?;
        let (_issuer, rest) = value(rest, SEQUENCE)?;
        let (dates, _) = value(rest, SEQUENCE)?;
        let (not_before, rest) = time(dates)?;
        let (not_after, _) = time(rest)?;
        Some(Self { not_before, not_after })
    }
}

/// The content of the first value of `bytes`, which must have this tag, and what follows it.
fn value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(length)).flatten()
}

fn time(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (digits, rest, has_century) = match *bytes.first()? {
        UTC_TIME => value(bytes, UTC_TIME).map(|(digits, rest)| (digits, rest, false))?,
        _ => value(bytes, GENERALIZED_TIME).map(|(digits, rest)| (digits, rest, true))?,
    };
    let digits = std::str::from_utf8(digits).ok()?;
    let digits = if has_century {
        digits.to_owned()
    } else {
        // Two digits are years of this century up to 49.
        let century = if digits < "50" { "20" } else { "19" };
        format!("{century}{digits}")
    };
    let moment = DateTime::strptime("%Y%m%d%H%M%SZ", digits).ok()?;
    Some((moment.to_zoned(TimeZone::UTC).ok()?.timestamp(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    #[test]
    fn certificate_dates_are_read_in_both_forms() {
        for (year, text) in
            [(1975, "1975-02-03T00:00:00Z"), (2049, "2049-02-03T00:00:00Z"), (2051, "2051-02-03T00:00:00Z")]
        {
            let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
            parameters.not_before = date_time_ymd(1970, 1, 1);
            parameters.not_after = date_time_ymd(year, 2, 3);
            let certificate = parameters.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let validity = Validity::of(certificate.der()).unwrap();
            assert_eq!(validity.not_before, Timestamp::UNIX_EPOCH);
            assert_eq!(validity.not_after.to_string(), text);
        }
    }

    #[test]
    fn truncated_certificate_has_no_dates() {
        let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert;
        let bytes = certificate.der();
        for length in 0..bytes.len() {
            assert_eq!(Validity::of(&bytes[..length]), None);
        }
        assert_eq!(Validity::of(b"\x30\x84\xff\xff\xff\xff"), None);
    }
}
