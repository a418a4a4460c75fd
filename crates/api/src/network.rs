//! Networks of IP addresses, as an operator writes them: `10.0.0.0/8`, `fd00::/8`, or one address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The addresses that share their first bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

impl Network {
    /// Whether `address` is in it. An IPv4 address that a dual-stack socket has mapped into IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && (bits(address) ^ bits(self.address)) & mask(self.prefix_bits) == 0
    }

    /// Whether every address of `other` is in it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix_bits <= other.prefix_bits && self.contains(other.address)
    }

    /// The network of `address`; `None` if the address has fewer bits than the prefix.
    fn around(address: IpAddr, prefix_bits: u8) -> Option<Self> {
        let mapped = address.is_ipv6() && address.to_canonical().is_ipv4();
        let prefix_bits = if mapped { prefix_bits.checked_sub(96)? } else { prefix_bits };
        let address = address.to_canonical();
        let kept = bits(address) & mask(prefix_bits);
        (prefix_bits <= width(address)).then(|| Self { address: with_bits(address, kept), prefix_bits })
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The bits of an address, the first one as the most significant.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address with these `bits`, in the same family as `like`.
fn with_bits(like: IpAddr, bits: u128) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::from_bits(u32::try_from(bits >> 96).unwrap_or(u32::MAX)).into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(bits).into(),
    }
}

fn mask(prefix_bits: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(prefix_bits.into())).unwrap_or(0)
}

/// The text is neither an address nor a network.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither an IP address nor a network such as 10.0.0.0/8")]
pub struct NetworkError;

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let network = match text.split_once('/') {
            Some((address, prefix_bits)) => {
                let (address, prefix_bits) = (address.parse().ok(), prefix_bits.parse().ok());
                address.zip(prefix_bits).and_then(|(address, prefix_bits)| Self::around(address, prefix_bits))
            }
            None => text.parse().ok().and_then(|address| Self::around(address, width(address))),
        };
        network.ok_or(NetworkError)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Option<Network> {
        text.parse().ok()
    }

    #[test]
    fn network_contains_only_its_own_addresses() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.0"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("192.168.1.128/25", "192.168.1.255", "192.168.1.127"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::1", "::1", "::2"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
        ] {
            let network = network(text).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{text} and {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{text} and {outside}");
        }
    }

    #[test]
    fn network_covers_smaller_ones_within_it() {
        for (wide, narrow, is_covered) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.0.0.0/8", "10.0.0.0/8", true),
            ("10.1.0.0/16", "10.0.0.0/8", false),
            ("10.0.0.0/8", "11.0.0.0/16", false),
            ("0.0.0.0/0", "::/0", false),
            ("fe80::/10", "fe80::1", true),
        ] {
            assert_eq!(
                network(wide).unwrap().covers(&network(narrow).unwrap()),
                is_covered,
                "{wide} {narrow}"
            );
        }
    }

    #[test]
    fn network_displays_its_first_address() {
        assert_eq!(network("10.1.2.3/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(network("2001:db8::ff/64").unwrap().to_string(), "2001:db8::/64");
    }

    #[test]
    fn network_parse_rejects_malformed_text() {
        for text in [
            "",
            "10.0.0.0/33",
            "::1/129",
            "10.0.0.0/",
            "10.0.0/8",
            "proxy.local",
            "10.0.0.0/-1",
            "::ffff:10.0.0.0/8",
        ] {
            assert_eq!(network(text), None, "{text}");
        }
    }
}
