//! How the text of a setting becomes its value: the type of a `Config` field decides what the text may be.

use axum::http::HeaderName;
use reqwest::Url;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use tenantry_api::network::Network;
use tenantry_domain::organization::QuotaLimit;

/// A type a setting can have.
///
/// Two texts mean the same when their values are equal, so `60` minutes and `3600` seconds agree.
pub trait Value: Sized + PartialEq {
    /// The placeholder for the value in `--help`.
    const SHAPE: &'static str;
    /// Whether the text must never be shown.
    const SECRET: bool = false;

    /// The value of `text`, if it keeps to the rule. An empty text is the default of a setting without one.
    fn parse(text: &str, limits: &Limits) -> Option<Self>;

    /// The rule of `parse`, as the words after "must be".
    fn rule(limits: &Limits) -> String;
}

/// The unit of a number in a text; the value itself is in bytes or seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    One,
    /// Seconds.
    Seconds,
    /// Minutes of 60 seconds.
    Minutes,
    /// Days of 24 hours.
    Days,
    /// 1,024 bytes.
    Kibibytes,
    /// 1,024 KiB.
    Mebibytes,
}

impl Unit {
    /// How many seconds, bytes or things one of it is.
    #[must_use]
    pub const fn factor(self) -> u64 {
        match self {
            Self::One | Self::Seconds => 1,
            Self::Minutes => 60,
            Self::Days => 24 * 3600,
            Self::Kibibytes => 1 << 10,
            Self::Mebibytes => 1 << 20,
        }
    }

    /// Its name in the plural; nothing for things.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "",
            Self::Seconds => "seconds",
            Self::Minutes => "minutes",
            Self::Days => "days",
            Self::Kibibytes => "KiB",
            Self::Mebibytes => "MiB",
        }
    }
}

/// The smallest and the largest value of a number (in seconds, bytes or things), or length of a text in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    min: u64,
    max: u64,
    unit: Unit,
}

impl Limits {
    /// From `min` to `max`, both in `unit`.
    #[must_use]
    pub const fn new(min: u64, max: u64, unit: Unit) -> Self {
        Self { min: min * unit.factor(), max: max * unit.factor(), unit }
    }

    /// The same limits for a text in another unit.
    #[must_use]
    pub const fn in_unit(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }

    /// The unit of the text.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    fn number(&self, text: &str) -> Option<u64> {
        let number = text.parse::<u64>().ok()?.checked_mul(self.unit.factor())?;
        (self.min..=self.max).contains(&number).then_some(number)
    }

    fn number_rule(&self) -> String {
        let factor = self.unit.factor();
        let of = if self.unit == Unit::One { String::new() } else { format!(" of {}", self.unit.name()) };
        format!("a whole number{of} from {} to {}", self.min.div_ceil(factor), self.max / factor)
    }
}

macro_rules! whole_numbers {
    ($($type:ty),*) => { $(
        impl Value for $type {
            const SHAPE: &'static str = "NUMBER";

            fn parse(text: &str, limits: &Limits) -> Option<Self> {
                Self::try_from(limits.number(text)?).ok()
            }

            fn rule(limits: &Limits) -> String {
                limits.number_rule()
            }
        }
    )* };
}

whole_numbers!(u16, u32, usize, u64);

impl Value for QuotaLimit {
    const SHAPE: &'static str = "NUMBER";

    fn parse(text: &str, _: &Limits) -> Option<Self> {
        text.parse().ok()
    }

    fn rule(_: &Limits) -> String {
        format!("a whole number from 0 to {}", Self::MAX)
    }
}

impl Value for Duration {
    const SHAPE: &'static str = "TIME";

    fn parse(text: &str, limits: &Limits) -> Option<Self> {
        limits.number(text).map(Self::from_secs)
    }

    fn rule(limits: &Limits) -> String {
        limits.number_rule()
    }
}

impl Value for bool {
    const SHAPE: &'static str = "on|off";

    fn parse(text: &str, _: &Limits) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "on" | "true" => Some(true),
            "off" | "false" => Some(false),
            _ => None,
        }
    }

    fn rule(_: &Limits) -> String {
        "`on` or `off`".to_owned()
    }
}

impl Value for String {
    const SHAPE: &'static str = "TEXT";

    fn parse(text: &str, limits: &Limits) -> Option<Self> {
        let length = u64::try_from(text.chars().count()).ok()?;
        let fits = (limits.min..=limits.max).contains(&length);
        (fits && !text.contains(char::is_control)).then(|| text.to_owned())
    }

    fn rule(limits: &Limits) -> String {
        format!("{} to {} characters on one line", limits.min, limits.max)
    }
}

impl Value for IpAddr {
    const SHAPE: &'static str = "ADDRESS";

    fn parse(text: &str, _: &Limits) -> Option<Self> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        bare.parse().ok()
    }

    fn rule(_: &Limits) -> String {
        "an IP address, such as 127.0.0.1 or ::1".to_owned()
    }
}

impl Value for PathBuf {
    const SHAPE: &'static str = "PATH";

    fn parse(text: &str, _: &Limits) -> Option<Self> {
        // The shell expands `~`; in a settings file it would become a directory of that name.
        (!text.starts_with('~') && !text.contains('\0')).then(|| Self::from(text))
    }

    fn rule(_: &Limits) -> String {
        "a path, without `~`".to_owned()
    }
}

impl Value for Url {
    const SHAPE: &'static str = "URL";

    fn parse(text: &str, _: &Limits) -> Option<Self> {
        let url = Self::parse(text).ok()?;
        let plain = url.query().is_none() && url.fragment().is_none();
        (is_web(&url) && plain).then_some(url)
    }

    fn rule(_: &Limits) -> String {
        "an http:// or https:// URL without user name, query and fragment".to_owned()
    }
}

fn is_web(url: &Url) -> bool {
    let anonymous = url.username().is_empty() && url.password().is_none();
    matches!(url.scheme(), "http" | "https") && url.has_host() && anonymous
}

/// Where a page came from, as browsers write it in the `Origin` header: `https://app.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// As browsers write it: lower case, without the scheme's own port.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for Network {
    const SHAPE: &'static str = "NETWORK";

    fn parse(text: &str, _: &Limits) -> Option<Self> {
        text.parse().ok()
    }

    fn rule(_: &Limits) -> String {
        "an IP address or a network such as 10.0.0.0/8".to_owned()
    }
}

impl Value for Origin {
    const SHAPE: &'static str = "ORIGIN";

    fn parse(text: &str, limits: &Limits) -> Option<Self> {
        let url = <Url as Value>::parse(text, limits)?;
        (url.path() == "/").then(|| Self(url.origin().ascii_serialization()))
    }

    fn rule(_: &Limits) -> String {
        "an origin such as https://app.example.com".to_owned()
    }
}

impl Value for HeaderName {
    const SHAPE: &'static str = "HEADER";

    fn parse(text: &str, _: &Limits) -> Option<Self> {
        // A header may be called so, and browsers read it as "all of them".
        if text == "*" { None } else { Self::from_bytes(text.as_bytes()).ok() }
    }

    fn rule(_: &Limits) -> String {
        "the name of a header such as X-Trace-Id".to_owned()
    }
}

/// The share of something that is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleRatio(f64);

impl SampleRatio {
    /// From 0 to 1.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Value for SampleRatio {
    const SHAPE: &'static str = "RATIO";

    fn parse(text: &str, _: &Limits) -> Option<Self> {
        let ratio: f64 = text.parse().ok()?;
        (0.0..=1.0).contains(&ratio).then_some(Self(ratio))
    }

    fn rule(_: &Limits) -> String {
        "a number from 0 to 1, such as 0.01".to_owned()
    }
}

/// The prefix of the public name of every container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantPrefix(String);

impl TenantPrefix {
    /// The prefix.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for TenantPrefix {
    const SHAPE: &'static str = "PREFIX";

    fn parse(text: &str, _: &Limits) -> Option<Self> {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
        ((1..=32).contains(&text.len()) && text.bytes().all(plain)).then(|| Self(text.to_owned()))
    }

    fn rule(_: &Limits) -> String {
        "1 to 32 of the characters a-z, 0-9 and _".to_owned()
    }
}

/// The name of a MongoDB database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseName(String);

impl DatabaseName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for DatabaseName {
    const SHAPE: &'static str = "NAME";

    fn parse(text: &str, _: &Limits) -> Option<Self> {
        // Characters that MongoDB refuses on any platform, and the three databases that it reserves.
        let refused = |c: char| c.is_control() || c.is_whitespace() || r#"/\."$*<>:|?"#.contains(c);
        let its_own = ["admin", "local", "config"].contains(&text.to_ascii_lowercase().as_str());
        (!its_own && text.len() <= 63 && !text.contains(refused)).then(|| Self(text.to_owned()))
    }

    fn rule(_: &Limits) -> String {
        "a database name: at most 63 bytes, none of `/ \\ . \" $ * < > : ?`, no bar, no space, and not admin, local or config"
            .to_owned()
    }
}

impl<T: Value> Value for Option<T> {
    const SHAPE: &'static str = T::SHAPE;
    const SECRET: bool = T::SECRET;

    fn parse(text: &str, limits: &Limits) -> Option<Self> {
        if text.is_empty() { Some(None) } else { T::parse(text, limits).map(Some) }
    }

    fn rule(limits: &Limits) -> String {
        T::rule(limits)
    }
}

impl<T: Value> Value for Vec<T> {
    const SHAPE: &'static str = "LIST";
    const SECRET: bool = T::SECRET;

    fn parse(text: &str, limits: &Limits) -> Option<Self> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(|entry| T::parse(entry, limits)).collect()
    }

    fn rule(limits: &Limits) -> String {
        format!("a comma-separated list, each entry {}", T::rule(limits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: Limits = Limits::new(0, 0, Unit::One);

    #[test]
    fn number_limits_apply_in_every_unit() {
        let seconds = Limits::new(60, 3600, Unit::Seconds);
        let minutes = seconds.in_unit(Unit::Minutes);
        assert_eq!(minutes.number("60"), seconds.number("3600"));
        assert_eq!(seconds.number("59"), None);
        assert_eq!(minutes.number("0"), None);
        assert_eq!(minutes.number("61"), None);
        assert_eq!(minutes.number("307445734561825861"), None, "larger than 64 bits once in seconds");
        assert_eq!(minutes.number_rule(), "a whole number of minutes from 1 to 60");
    }

    #[test]
    fn origin_is_normalized_as_browsers_write_it() {
        for (text, origin) in [
            ("https://App.Example.com", "https://app.example.com"),
            ("https://app.example.com:443/", "https://app.example.com"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:3000", "http://[::1]:3000"),
        ] {
            assert_eq!(Origin::parse(text, &ANY).map(|origin| origin.0).as_deref(), Some(origin));
        }
        for text in [
            "*",
            "null",
            "app.example.com",
            "https://app.example.com/path",
            "ftp://a.example",
            "https://u:p@a.example",
        ] {
            assert_eq!(Origin::parse(text, &ANY), None, "{text}");
        }
    }

    #[test]
    fn database_name_is_valid_for_mongodb() {
        for text in ["master_db", "enterprise-db", "x"] {
            assert!(DatabaseName::parse(text, &ANY).is_some(), "{text}");
        }
        for text in
            ["a.b", "a b", "a/b", "a\\b", "a$b", "a\"b", "a|b", "a\0b", "Admin", "local", &"x".repeat(64)]
        {
            assert!(DatabaseName::parse(text, &ANY).is_none(), "{text}");
        }
    }
}
