//! Names what was sent in place of one JSON object, by reading it as JSON.

use super::diagnosis::{InputDiagnosis, explain, not_utf8, recognize_lines};
use super::json::{Json, of_value};
use crate::error::Error;

/// Names a line that is not one JSON object; the first one names the whole input.
#[must_use]
pub fn of_line(number: u64, line: &[u8]) -> Option<InputDiagnosis> {
    let whole = if number == 1 { recognize_lines(line) } else { None };
    whole.or_else(|| match std::str::from_utf8(line) {
        Err(_) => Some(not_utf8(line)),
        Ok(text) => match Json::read(text) {
            Ok(value) => of_value(&value),
            Err((_, at)) => explain(text, at),
        },
    })
}

/// What a text is instead of JSON, and what to do about it, if it can be said: the end of a sentence.
#[must_use]
pub fn of_text(bytes: &[u8]) -> Option<String> {
    let diagnosis = match std::str::from_utf8(bytes) {
        Err(_) => not_utf8(bytes),
        Ok(text) => {
            let (_, at) = Json::read(text).err()?;
            explain(text, at)?
        }
    };
    Some(diagnosis.explain("JSON"))
}

/// The refusal of a body that is not one JSON object, if it can be said what it is.
#[must_use]
pub fn of_object(body: &[u8]) -> Option<Error> {
    let what = match std::str::from_utf8(body) {
        Err(_) => not_utf8(body).explain("JSON in UTF-8"),
        Ok(text) => match Json::read(text) {
            Ok(Json::Object(_)) => return None,
            Ok(value) => of_value(&value)?.explain("a JSON object"),
            Err((what, at)) => {
                format!("{} As JSON, {what} at byte {at}.", explain(text, at)?.explain("JSON"))
            }
        },
    };
    Some(Error::InvalidJson(format!("The body {what}")))
}
