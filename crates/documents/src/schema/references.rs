//! References of a schema: each leads to a subschema of the same schema. Nothing is ever fetched.
//!
//! There is one schema resource, so `$dynamicRef` leads where `$ref` would.

use super::keywords::{Node, NodeId};
use super::reader::{DIALECT, Reference, SchemaReader, place_of};
use crate::document::Json;

/// Whether it is the name of an anchor.
pub(super) fn is_anchor(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Leads every reference to its subschema, and refuses those that lead nowhere, outside or in a circle.
pub(super) fn resolve(reader: &mut SchemaReader, root: &Json<'_>) {
    let mut resolved = Vec::new();
    for Reference { from, pointer, target } in std::mem::take(&mut reader.references) {
        match find(reader, root, &target) {
            Ok(node) => {
                if let Some(Node::Keywords(keywords)) = reader.nodes.get_mut(from) {
                    keywords.references.push(node);
                }
                resolved.push((from, node, pointer));
            }
            Err(detail) => refuse(reader, &pointer, detail),
        }
    }
    for (from, node, pointer) in resolved {
        if leads_to(&reader.nodes, node, from) {
            let detail = "Leads back to itself without a step into the document, so a check would never end.";
            refuse(reader, &pointer, detail.to_owned());
        }
    }
}

/// Its pointer is not below the position of the reader, which is at the beginning.
fn refuse(reader: &mut SchemaReader, pointer: &str, detail: String) {
    let own = pointer.get(reader.problems.pointer().len()..).unwrap_or_default().to_owned();
    reader.problems.refuse_at(&own, detail);
}

fn find(reader: &SchemaReader, root: &Json<'_>, target: &str) -> Result<NodeId, String> {
    let own = reader.id.as_deref().and_then(|id| target.strip_prefix(id)).unwrap_or(target);
    let Some(fragment) = own.strip_prefix('#').or(own.is_empty().then_some("")) else {
        let known = if target.trim_end_matches('#') == DIALECT {
            " The meta-schema is not there either."
        } else {
            ""
        };
        return Err(format!(
            "Leads outside of this schema, and nothing is fetched: put the other schema into `$defs`, and refer to \
             `#/$defs/name`.{known}"
        ));
    };
    let missing = || "Leads to no subschema of this schema.".to_owned();
    let fragment = decoded(fragment).ok_or_else(missing)?;
    if !fragment.is_empty() && !fragment.starts_with('/') {
        return reader.anchors.get(&fragment).copied().ok_or_else(missing);
    }
    let mut json = root;
    for token in fragment.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let next = match json {
            Json::Object(members) => members.iter().find(|(name, _)| *name == token).map(|(_, value)| value),
            Json::Array(items) => token.parse().ok().and_then(|index: usize| items.get(index)),
            _ => None,
        };
        json = next.ok_or_else(missing)?;
    }
    reader.places.get(&place_of(json)).copied().ok_or_else(missing)
}

/// A fragment of a URI without percent signs.
fn decoded(fragment: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(fragment.len()), fragment.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        if *byte == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// Whether one subschema leads to another without a step into the document.
fn leads_to(nodes: &[Node], from: NodeId, wanted: NodeId) -> bool {
    let (mut met, mut open) = (vec![false; nodes.len()], vec![from]);
    while let Some(node) = open.pop() {
        if node == wanted {
            return true;
        }
        if std::mem::replace(&mut met[node], true) {
            continue;
        }
        if let Node::Keywords(keywords) = &nodes[node] {
            open.extend(keywords.in_place());
        }
    }
    false
}
