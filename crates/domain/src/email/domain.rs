//! The domain of an address, compared by UTS #46 (non-transitional, as browsers and registries do).

use crate::name::unprintable;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use std::borrow::Cow;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// Bytes of a domain in ASCII (RFC 1035, 2.3.4, as text).
const DOMAIN_MAX_BYTES: usize = 253;
/// Bytes of one label of a domain in ASCII (RFC 1035, 2.3.4).
const LABEL_MAX_BYTES: usize = 63;

/// The form that domains are compared in: labels in ASCII, lower case. `None` if `domain` is not a domain.
pub(super) fn to_ascii(domain: &str) -> Option<Cow<'_, str>> {
    let is_encoded = |label: &str| label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"));
    // Nearly all domains are ASCII and need no Unicode tables.
    let ascii = if domain.is_ascii() && !domain.split('.').any(is_encoded) {
        lower_case(domain)
    } else {
        let mapped =
            Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::Allow, DnsLength::Ignore);
        match mapped {
            Ok(ascii) => ascii,
            // HTML accepts any letters behind `xn--`. A domain that cannot be decoded equals no other.
            Err(_) if domain.is_ascii() => lower_case(domain),
            Err(_) => return None,
        }
    };
    let is_domain = ascii.len() <= DOMAIN_MAX_BYTES && ascii.split('.').all(is_ascii_label);
    is_domain.then_some(ascii)
}

fn lower_case(domain: &str) -> Cow<'_, str> {
    if domain.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(domain.to_ascii_lowercase())
    } else {
        Cow::Borrowed(domain)
    }
}

/// As the HTML standard says.
fn is_ascii_label(label: &str) -> bool {
    (1..=LABEL_MAX_BYTES).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Whether an earlier version accepted the domain: letters of any script, without UTS #46.
pub(super) fn was_taken(domain: &str) -> bool {
    let allowed = |c: char| {
        c == '-'
            || c.is_ascii_alphanumeric()
            || !c.is_ascii()
                && unprintable(c).is_none()
                && matches!(
                    c.general_category_group(),
                    GeneralCategoryGroup::Letter | GeneralCategoryGroup::Mark | GeneralCategoryGroup::Number
                )
    };
    let is_label = |label: &str| {
        (1..=LABEL_MAX_BYTES).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(allowed)
    };
    domain.len() <= DOMAIN_MAX_BYTES && domain.contains('.') && domain.split('.').all(is_label)
}
