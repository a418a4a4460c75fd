//! Replaces what differs from run to run, so that the rest of a body can be a snapshot.

use serde_json::Value;

/// `body` with the value at each JSON pointer replaced by the text beside it. Each must be there: a field that
/// vanished is a change of the interface.
#[track_caller]
pub fn redact(body: &Value, texts: &[(&str, &str)]) -> Value {
    let mut redacted = body.clone();
    for (pointer, text) in texts {
        let Some(field) = redacted.pointer_mut(pointer) else { panic!("no {pointer} to redact") };
        *field = Value::from(*text);
    }
    redacted
}
