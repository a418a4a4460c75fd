//! The coding that a client wants most (RFC 9110, 12.5.3).

use axum::http::{HeaderMap, HeaderValue, header};

/// A coding of responses, the one that we like best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 8878: the fastest.
    Zstd,
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// Its name in `Content-Encoding`.
    pub const fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        })
    }

    fn is_named(self, name: &str) -> bool {
        match self {
            Self::Zstd => name.eq_ignore_ascii_case("zstd"),
            Self::Brotli => name.eq_ignore_ascii_case("br"),
            Self::Gzip => name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip"),
        }
    }
}

/// The coding that a request asks for; `None` if it takes none.
pub fn preferred(headers: &HeaderMap) -> Option<Coding> {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut named = [None; Coding::ALL.len()];
    let mut others = 0;
    for item in values.flat_map(|value| value.split(',')) {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        let (name, weight) = (name.trim(), weight(parameters));
        if name == "*" {
            others = weight;
        }
        for (coding, named) in Coding::ALL.iter().zip(&mut named) {
            if coding.is_named(name) {
                *named = Some(weight);
            }
        }
    }
    let weights = named.map(|weight| weight.unwrap_or(others));
    let best = weights.into_iter().max().filter(|weight| *weight > 0)?;
    Coding::ALL.into_iter().zip(weights).find(|(_, weight)| *weight == best).map(|(coding, _)| coding)
}

/// The weight of a coding, in thousandths; what is no weight counts as 0.
fn weight(parameters: &str) -> u16 {
    let parameters = parameters.trim();
    if parameters.is_empty() {
        return 1000;
    }
    let text = parameters.strip_prefix(['q', 'Q']).and_then(|rest| rest.trim_start().strip_prefix('='));
    let weight = text.and_then(|text| text.trim().parse::<f32>().ok()).unwrap_or(0.0);
    (weight.clamp(0.0, 1.0) * 1000.0) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferred_coding_follows_weights_and_then_speed() {
        for (accepted, expected) in [
            ("gzip", Some(Coding::Gzip)),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip, deflate, br", Some(Coding::Brotli)),
            ("gzip;q=1.0, br;q=0.5", Some(Coding::Gzip)),
            ("gzip;q=0.5 , ZSTD ; q=0.501", Some(Coding::Zstd)),
            ("X-GZIP", Some(Coding::Gzip)),
            ("*", Some(Coding::Zstd)),
            ("*, zstd;q=0", Some(Coding::Brotli)),
            ("*;q=0.1, gzip;q=0.2", Some(Coding::Gzip)),
            ("", None),
            ("identity", None),
            ("deflate", None),
            ("gzip;q=0, zstd;q=0.000", None),
            ("gzip;q=x", None),
        ] {
            let value = HeaderValue::from_static(accepted);
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]);
            assert_eq!(preferred(&headers), expected, "{accepted}");
        }
        assert_eq!(preferred(&HeaderMap::new()), None);
    }
}
