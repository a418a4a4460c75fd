//! Which addresses may be called.

use reqwest::Url;
use std::net::{IpAddr, Ipv4Addr};
use tenantry_api::network::Network;

/// Addresses at which clouds hand out credentials, outside the link-local networks.
const METADATA: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];
/// As [`METADATA`], by the first two groups: all that a cloud offers its own machines is in these networks.
const METADATA_NETWORKS: [[u16; 2]; 2] = [[0xfd00, 0xec2], [0xfd20, 0xce]];

/// The addresses that a host may have: public ones, and those of private networks that the settings name.
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy {
    /// Private networks that may be called.
    pub private_networks: Vec<Network>,
}

impl AddressPolicy {
    /// Whether `address` may be called; `is_loopback_host` says that the URL itself names a loopback address.
    #[must_use]
    pub fn allows(&self, address: IpAddr, is_loopback_host: bool) -> bool {
        // An IPv6 address that leads to an IPv4 address is judged as that.
        let address = embedded(address);
        if is_never_called(address) {
            return false;
        }
        if address.is_loopback() || is_loopback_host {
            return address.is_loopback() && is_loopback_host;
        }
        !is_private(address) || self.private_networks.iter().any(|network| network.contains(address))
    }
}

/// Networks of which no address is called, also if the settings allow it. Loopback addresses are called by a URL that names
/// one, and only by that.
const NEVER_CALLED: [&str; 13] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/3",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "::/127",
    "fe80::/10",
    "ff00::/8",
    "64:ff9b:1::/48",
    "fd00:ec2::/32",
    "fd20:ce::/32",
];

/// Whether naming `network` as a private one changes nothing, because none of its addresses is ever called for that.
#[must_use]
pub fn is_without_effect(network: &Network) -> bool {
    let mut never = NEVER_CALLED.iter().filter_map(|text| text.parse::<Network>().ok());
    never.any(|never| never.covers(network))
}

/// Whether the URL names a loopback address. A name that only resolves to one does not.
#[must_use]
pub fn is_loopback_host(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The IPv4 address within a mapped, translated, NAT64 or 6to4 address.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address.to_canonical() else { return address.to_canonical() };
    let of = |high: u16, low: u16| {
        let ([first, second], [third, fourth]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(first, second, third, fourth))
    };
    match six.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => of(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => of(high, low),
        [0x2002, high, low, ..] => of(high, low),
        _ => IpAddr::V6(six),
    }
}

fn is_never_called(address: IpAddr) -> bool {
    let is_of_no_host = match address {
        IpAddr::V4(four) => {
            let [first, ..] = four.octets();
            first == 0 || first >= 224 || four.is_link_local()
        }
        IpAddr::V6(six) => {
            // Of a NAT64 prefix of one's own, nobody else knows where in it the IPv4 address is (RFC 8215).
            let is_translated = six.segments()[..3] == [0x64, 0xff9b, 1];
            is_translated || six.is_unspecified() || six.is_multicast() || six.is_unicast_link_local()
        }
    };
    let is_metadata = match address {
        IpAddr::V4(four) => METADATA.contains(&four),
        IpAddr::V6(six) => METADATA_NETWORKS.iter().any(|network| six.segments()[..2] == *network),
    };
    is_of_no_host || is_metadata
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            let octets = four.octets();
            let is_shared = octets[0] == 100 && octets[1] & 0xc0 == 64;
            let is_protocol = octets[..3] == [192, 0, 0];
            let is_benchmark = octets[0] == 198 && octets[1] & 0xfe == 18;
            four.is_private() || four.is_documentation() || is_shared || is_protocol || is_benchmark
        }
        // Only 2000::/3 is given out for the world; of that, 2001:db8::/32 and 3fff::/20 are for books, and 2001::/23
        // for protocols, among them Teredo, whose addresses lead to IPv4 ones.
        IpAddr::V6(six) => {
            let [first, second, ..] = six.segments();
            let is_protocol = first == 0x2001 && second < 0x200;
            let is_documentation =
                (first == 0x2001 && second == 0xdb8) || (first == 0x3fff && second < 0x1000);
            first & 0xe000 != 0x2000 || is_protocol || is_documentation
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(address: &str, private: &[&str]) -> bool {
        let private_networks = private.iter().map(|network| network.parse().unwrap()).collect();
        AddressPolicy { private_networks }.allows(address.parse().unwrap(), false)
    }

    /// The list of networks says the same as the rule for addresses.
    #[test]
    fn networks_without_effect_are_never_allowed() {
        for text in NEVER_CALLED {
            let network: Network = text.parse().unwrap();
            assert!(is_without_effect(&network), "{text}");
            assert!(!allows(text.split('/').next().unwrap(), &[text]), "{text}");
        }
        for (text, address) in
            [("10.0.0.0/8", "10.0.0.1"), ("fd00::/8", "fd12::1"), ("0.0.0.0/0", "10.0.0.1")]
        {
            assert!(!is_without_effect(&text.parse().unwrap()), "{text}");
            assert!(allows(address, &[text]), "{text}");
        }
        for text in
            ["169.254.169.254", "169.254.0.0/24", "127.0.0.1", "::1", "::ffff:169.254.0.0/112", "239.0.0.0/8"]
        {
            assert!(is_without_effect(&text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn public_address_is_allowed() {
        for address in ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"] {
            assert!(allows(address, &[]), "{address}");
        }
    }

    #[test]
    fn private_address_needs_its_network_in_the_settings() {
        let table = [
            ("10.1.2.3", "10.0.0.0/8"),
            ("172.16.0.1", "172.16.0.0/12"),
            ("192.168.1.1", "192.168.1.1"),
            ("100.64.0.1", "100.64.0.0/10"),
            ("198.18.0.1", "198.18.0.0/15"),
            ("fd12::1", "fd00::/8"),
            ("::ffff:10.1.2.3", "10.0.0.0/8"),
            ("64:ff9b::a01:203", "10.0.0.0/8"),
            ("2002:a01:203::1", "10.0.0.0/8"),
            ("::ffff:0:10.1.2.3", "10.0.0.0/8"),
            // Teredo: the server 65.54.227.120, and 192.0.2.45 with all bits turned over.
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001::/32"),
            ("2001:db8::1", "2001:db8::/32"),
            ("3fff::1", "3fff::/20"),
            ("fec0::1", "fec0::/10"),
        ];
        for (address, network) in table {
            assert!(!allows(address, &[]) && !allows(address, &["203.0.113.0/24"]), "{address}");
            assert!(allows(address, &[network]), "{address}");
        }
    }

    #[test]
    fn link_local_and_metadata_address_is_never_allowed() {
        let all = ["0.0.0.0/0", "::/0"];
        for address in [
            "169.254.169.254",
            "169.254.0.1",
            "fe80::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "255.255.255.255",
            "ff02::1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b:1::a9fe:a9fe",
            "64:ff9b:1:a9fe:a9:fe00:5db8:d822",
        ] {
            assert!(!allows(address, &all), "{address}");
        }
    }

    #[test]
    fn loopback_address_needs_a_url_that_names_it() {
        let policy = AddressPolicy { private_networks: vec!["127.0.0.0/8".parse().unwrap()] };
        for address in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            let address = address.parse().unwrap();
            assert!(!policy.allows(address, false), "{address}");
            assert!(policy.allows(address, true), "{address}");
        }
        assert!(!policy.allows("93.184.216.34".parse().unwrap(), true), "localhost is nowhere else");
        for (url, is_loopback) in [
            ("http://127.0.0.1:80/", true),
            ("http://[::1]/", true),
            ("http://localhost/", true),
            ("http://0x7f.1/", true),
            ("http://localhost.example.com/", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(is_loopback_host(&url.parse().unwrap()), is_loopback, "{url}");
        }
    }
}
