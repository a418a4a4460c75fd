//! The few commands that make a replica set, as they go over the wire (OP_MSG).
//!
//! Written by hand, because the driver would make `xtask` compile a hundred packages before it can do
//! anything. This is no client: it sends one command per connection and looks for one field of the reply.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// A server that is frozen answers nobody.
const PATIENCE: Duration = Duration::from_secs(10);
/// "OP_MSG".
const MESSAGE: i32 = 2013;
/// Length, number, number answered and kind of a message; then its flags, and that one document follows.
const HEAD_BYTES: usize = 16 + 4 + 1;

/// What a field of a command holds.
pub(crate) enum Value {
    Number(i32),
    Text(String),
    Document(Document),
    List(Vec<Self>),
}

/// Names and values, in their order.
pub(crate) type Document = Vec<(&'static str, Value)>;

/// A server's answer, as bytes.
pub(crate) struct Answer(Vec<u8>);

impl Answer {
    /// Whether the command was carried out.
    pub(crate) fn is_ok(&self) -> bool {
        self.has(b"\x01ok\0", &1.0_f64.to_le_bytes())
    }

    /// Whether the server says that it takes writes.
    pub(crate) fn is_primary(&self) -> bool {
        self.has(b"\x08isWritablePrimary\0", &[1])
    }

    /// The answer as far as it is text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).replace(|c: char| c.is_control(), " ")
    }

    fn has(&self, name: &[u8], value: &[u8]) -> bool {
        let field = [name, value].concat();
        self.0.windows(field.len()).any(|bytes| bytes == field)
    }
}

/// Asks the server on that port to carry out a command of the database `admin`.
pub(crate) fn ask(port: u16, mut command: Document) -> io::Result<Answer> {
    command.push(("$db", Value::Text("admin".to_owned())));
    let document = encode(command);
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_read_timeout(Some(PATIENCE))?;
    let length = length(HEAD_BYTES + document.len());
    let mut message: Vec<u8> = [length, 1, 0, MESSAGE, 0].iter().flat_map(|n| n.to_le_bytes()).collect();
    message.push(0);
    message.extend(document);
    connection.write_all(&message)?;

    let mut length = [0; 4];
    connection.read_exact(&mut length)?;
    let rest = usize::try_from(i32::from_le_bytes(length)).map_err(io::Error::other)?.saturating_sub(4);
    let mut answer = vec![0; rest];
    connection.read_exact(&mut answer)?;
    Ok(Answer(answer))
}

/// A document, or a list by the numbers of its items, in BSON.
fn encode(fields: Vec<(impl ToString, Value)>) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        let (kind, bytes) = match value {
            Value::Number(number) => (0x10, number.to_le_bytes().to_vec()),
            Value::Text(text) => {
                let size = length(text.len() + 1).to_le_bytes();
                (0x02, [size.as_slice(), text.as_bytes(), &[0]].concat())
            }
            Value::Document(fields) => (0x03, encode(fields)),
            Value::List(items) => (0x04, encode(items.into_iter().enumerate().collect())),
        };
        body.push(kind);
        body.extend(name.to_string().into_bytes());
        body.push(0);
        body.extend(bytes);
    }
    let size = length(body.len() + 5).to_le_bytes();
    [size.as_slice(), &body, &[0]].concat()
}

fn length(bytes: usize) -> i32 {
    i32::try_from(bytes).expect("a command has a few hundred bytes")
}
