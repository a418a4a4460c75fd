//! Argon2 hashes as text, as tools print them: `$argon2id$v=19$m=65536,t=3,p=4$salt$output`, with the
//! parameters in any order.
//!
//! `docs/guides/archives.md` lists every bound here. Missing parameters are never guessed: a hash with an unknown
//! memory size never matches anything.

use super::parameters;
use argon2::{Algorithm, Argon2, AssociatedData, ParamsBuilder, Version};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Memory that a stored hash may ask for, in KiB: 1 GiB, as libsodium's most careful setting.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
/// Memory times passes that a stored hash may ask for, in KiB: that setting's four passes, some two seconds.
const MAX_WORK_KIB: u64 = 4 * MAX_MEMORY_KIB as u64;
/// Bytes of the salt: from Argon2's own minimum to more than any tool uses by default.
const SALT_BYTES: std::ops::RangeInclusive<usize> = 8..=1024;
/// Bytes of the output, likewise.
const OUTPUT_BYTES: std::ops::RangeInclusive<usize> = 4..=1024;
/// Bytes of the associated data that the Argon2 library takes.
const DATA_MAX_BYTES: usize = 32;

/// Base64 of RFC 4648. The format has no padding, but some libraries write it anyway.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A parsed Argon2 hash.
pub(super) struct Argon2Hash {
    pub(super) argon2: Argon2<'static>,
    pub(super) salt: Vec<u8>,
    pub(super) output: Vec<u8>,
    /// Whether a new hash of ours would have the same parameters.
    pub(super) is_current: bool,
}

impl Argon2Hash {
    /// Parses `text`, which begins with `$argon2`.
    ///
    /// # Errors
    /// The sentence that says why it cannot be checked, without the text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split('$').skip(1);
        let kind = parts.next().unwrap_or_default();
        let algorithm = Algorithm::new(kind)
            .map_err(|_| "Must be `$argon2id$`, `$argon2i$` or `$argon2d$` at its beginning.".to_owned())?;
        let mut next = parts.next().unwrap_or_default();
        let mut version = Version::V0x10;
        if let Some(number) = next.strip_prefix("v=") {
            version = read_version(number)?;
            next = parts.next().unwrap_or_default();
        }
        let given = Parameters::parse(next)?;
        let (Some(salt), Some(output), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err("Must end in `$`, the salt, `$`, and the hash.".into());
        };
        let salt = decode("salt", salt, SALT_BYTES)?;
        let output = decode("hash", output, OUTPUT_BYTES)?;
        let is_current = text.starts_with(parameters::CURRENT)
            && (salt.len(), output.len()) == (parameters::SALT_BYTES, parameters::OUTPUT_BYTES);
        Ok(Self { argon2: given.argon2(algorithm, version, output.len())?, salt, output, is_current })
    }
}

/// The version of Argon2, 1.0 or 1.3. Texts from before 1.3 name none.
fn read_version(number: &str) -> Result<Version, String> {
    match number {
        "16" => Ok(Version::V0x10),
        "19" => Ok(Version::V0x13),
        _ => Err("Must have the version `v=19` or `v=16`.".into()),
    }
}

/// The parameters between the commas.
#[derive(Default)]
struct Parameters {
    memory_kib: Option<u32>,
    passes: Option<u32>,
    lanes: Option<u32>,
    data: Option<AssociatedData>,
}

impl Parameters {
    fn parse(text: &str) -> Result<Self, String> {
        let mut given = Self::default();
        for parameter in text.split(',').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let is_first = match name {
                "m" => given.memory_kib.replace(number(name, value)?).is_none(),
                "t" => given.passes.replace(number(name, value)?).is_none(),
                "p" => given.lanes.replace(number(name, value)?).is_none(),
                "data" => given.data.replace(associated_data(value)?).is_none(),
                "keyid" => return Err("Was made with a secret key (`keyid`), which is not here.".into()),
                _ => return Err("Has a parameter that is not `m`, `t`, `p` or `data`.".into()),
            };
            if !is_first {
                return Err(format!("Has the parameter `{name}` twice."));
            }
        }
        Ok(given)
    }

    /// Argon2 with these parameters, if all are present and supported.
    fn argon2(
        self,
        algorithm: Algorithm,
        version: Version,
        output: usize,
    ) -> Result<Argon2<'static>, String> {
        let missing = |name| format!("Must say `{name}=`: without it the hash can never be checked.");
        let memory_kib = self.memory_kib.ok_or_else(|| missing("m"))?;
        let passes = self.passes.ok_or_else(|| missing("t"))?;
        let lanes = self.lanes.ok_or_else(|| missing("p"))?;
        if memory_kib > MAX_MEMORY_KIB {
            return Err(format!(
                "Asks for m={memory_kib} KiB of memory: at most {MAX_MEMORY_KIB} are supported."
            ));
        }
        if u64::from(memory_kib) * u64::from(passes) > MAX_WORK_KIB {
            return Err(format!(
                "Asks for t={passes} passes over m={memory_kib} KiB of memory: at most {MAX_WORK_KIB} KiB in all are \
                 supported."
            ));
        }
        let mut builder = ParamsBuilder::new();
        builder.m_cost(memory_kib).t_cost(passes).p_cost(lanes).output_len(output);
        if let Some(data) = self.data {
            builder.data(data);
        }
        let params = builder.build().map_err(|_| {
            format!("Has parameters that Argon2 does not take (m={memory_kib}, t={passes}, p={lanes}): m is at least 8 \
                     times p, t and p at least 1.")
        })?;
        Ok(Argon2::new(algorithm, version, params))
    }
}

fn number(name: &str, value: &str) -> Result<u32, String> {
    let is_decimal = value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse().ok().filter(|_| is_decimal);
    number.ok_or_else(|| format!("Must have a whole number for `{name}`, below 2^32."))
}

fn associated_data(value: &str) -> Result<AssociatedData, String> {
    let data = decode("associated data", value, 0..=DATA_MAX_BYTES)?;
    AssociatedData::new(&data)
        .map_err(|_| format!("Has more than {DATA_MAX_BYTES} bytes of associated data."))
}

fn decode(what: &str, text: &str, bytes: std::ops::RangeInclusive<usize>) -> Result<Vec<u8>, String> {
    let decoded = BASE64.decode(text).map_err(|_| format!("Must have its {what} in Base64."))?;
    if bytes.contains(&decoded.len()) {
        return Ok(decoded);
    }
    Err(format!("Must have {} to {} bytes of {what}, and has {}.", bytes.start(), bytes.end(), decoded.len()))
}
