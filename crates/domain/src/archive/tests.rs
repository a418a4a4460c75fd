//! Archives: the reader gets what the writer wrote, and detects every change in between.

mod people;

use super::*;
use crate::account::PasswordHash;
use crate::collection::CollectionName;
use crate::email::EmailAddress;
use crate::error::ErrorCode;
use crate::ids::{AccountId, OrganizationId};
use crate::limits::{COLLECTIONS_MAX, DOCUMENT_DEFAULT_MAX_BYTES, INDEXES_MAX};
use crate::name::OrganizationName;
use crate::organization::QuotaLimit;
use crate::organization::{Placement, Quota};
use bson::{RawDocumentBuf, rawdoc};
use jiff::Timestamp;
use proptest::prelude::*;
use tenantry_documents::index::{Index, IndexName};
use tenantry_documents::schema::{SchemaAction, SchemaDefinition, SchemaLevel};

const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$TlpTz4yY6LFLJWktAC/GCw$f6P/glxd5eIliZoV4YyIg6G7HqqJtoZIczhb+gYDVtA";

fn organization() -> ArchivedOrganization {
    ArchivedOrganization {
        id: OrganizationId::from_bytes([1; 12]),
        organization_name: OrganizationName::parse("Acme Corp").unwrap(),
        placement: Placement::Shared,
        suspended: false,
        delete_protection: true,
        legal_hold: false,
        quota: Quota { documents: QuotaLimit::new(5).ok(), ..Quota::default() },
        created_at: Timestamp::from_second(1_700_000_000).unwrap(),
        owner: ArchivedOwner {
            id: AccountId::from_bytes([2; 12]),
            email: EmailAddress::parse("Owner@acme.example").unwrap(),
            password_hash: Some(PasswordHash(HASH.into())),
        },
    }
}

fn collection(name: &str, indexes: &[(&str, &str)]) -> ArchivedCollection {
    let index = |(name, keys): &(&str, &str)| {
        Index::parse(Some(IndexName::parse(name).unwrap()), keys, *name == "one").unwrap()
    };
    ArchivedCollection {
        name: CollectionName::parse(name).unwrap(),
        indexes: indexes.iter().map(index).collect(),
        schema: None,
    }
}

fn documents() -> Vec<RawDocumentBuf> {
    vec![
        rawdoc! { "_id": 1, "a": 5_i64, "b": { "c": [1.5, "x\n\u{2028}", bson::oid::ObjectId::from_bytes([7; 12])] } },
        rawdoc! { "_id": "two", "when": bson::DateTime::from_millis(-1) },
        rawdoc! { "_id": { "three": 3 } },
    ]
}

/// Two collections, the second without documents.
fn whole() -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer =
        ArchiveWriter::begin(Manifest::new(Timestamp::UNIX_EPOCH), organization(), &mut out).unwrap();
    writer.collection(collection("documents", &[("one", "a,-b.c"), ("two", "d")]), &mut out).unwrap();
    for document in documents() {
        writer.document(&document, &mut out);
    }
    writer.end_collection(&mut out).unwrap();
    writer.collection(collection("empty", &[]), &mut out).unwrap();
    writer.end_collection(&mut out).unwrap();
    writer.end(Vec::new(), &mut out).unwrap();
    out
}

/// The lines of `archive` when it arrives in chunks of size `chunk`.
fn lines(archive: &[u8], chunk: usize) -> Vec<Vec<u8>> {
    let (mut lines, mut found) = (ArchiveLines::new(line_max_bytes(DOCUMENT_DEFAULT_MAX_BYTES)), Vec::new());
    for chunk in archive.chunks(chunk) {
        lines.push(chunk);
        while let Some(line) = lines.take().unwrap() {
            found.push(line.to_vec());
        }
    }
    found.extend(lines.rest().map(<[u8]>::to_vec));
    assert!(lines.rest().is_none());
    found
}

/// Reads all of it.
fn read(archive: &[u8]) -> crate::Result<Vec<ArchiveItem>> {
    let mut reader = ArchiveReader::new(DOCUMENT_DEFAULT_MAX_BYTES);
    let items =
        lines(archive, 4096).iter().map(|line| reader.read(line)).collect::<crate::Result<Vec<_>>>()?;
    reader.finish()?;
    Ok(items)
}

/// The totals that a verifier finds in `archive`.
fn verify(archive: &[u8]) -> crate::Result<ArchiveEnd> {
    let mut verifier = Verifier::default();
    lines(archive, 4096).iter().try_for_each(|line| verifier.line(line))?;
    verifier.finish()
}

#[track_caller]
fn refused(archive: &[u8]) -> String {
    let error = read(archive).expect_err("a damaged archive was accepted");
    assert_eq!(error.code(), ErrorCode::ArchiveInvalid);
    error.sentence()
}

/// The archive with the first `from` replaced by `to`.
fn with(from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(whole()).unwrap();
    assert!(text.contains(from), "{from} is not in it");
    text.replacen(from, to, 1).into_bytes()
}

#[test]
fn archived_schema_round_trips_and_is_read_as_a_schema() {
    let schema = SchemaDefinition {
        schema: r##"{"$ref":"#/$defs/a","$defs":{"a":{"const":1.50}}}"##.into(),
        level: SchemaLevel::Moderate,
        action: SchemaAction::Warn,
    };
    let mut out = Vec::new();
    let mut writer =
        ArchiveWriter::begin(Manifest::new(Timestamp::UNIX_EPOCH), organization(), &mut out).unwrap();
    let with_schema = ArchivedCollection { schema: Some(schema), ..collection("documents", &[]) };
    writer.collection(with_schema.clone(), &mut out).unwrap();
    writer.end_collection(&mut out).unwrap();
    writer.end(Vec::new(), &mut out).unwrap();
    let items = read(&out).unwrap();
    assert!(items.iter().any(|item| matches!(item, ArchiveItem::Collection(found) if *found == with_schema)));
    assert!(String::from_utf8(out).unwrap().contains(r##""schema":{"schema":{"$ref":"#/$defs/a","##));

    let field = |schema: &str| {
        format!(r#""indexes":[],"schema":{{"schema":{schema},"level":"strict","action":"error"}}}}"#)
    };
    let bad = with(r#""indexes":[]}"#, &field(r#"{"type":"text"}"#));
    assert!(refused(&bad).contains("/type"), "{}", refused(&bad));
    refused(&with(r#""indexes":[]}"#, &field("3")));
}

#[test]
fn archive_round_trips() {
    let items = read(&whole()).unwrap();
    let [
        ArchiveItem::Manifest(_),
        ArchiveItem::Organization(found),
        ArchiveItem::Collection(first),
        others @ ..,
    ] = &items[..]
    else {
        panic!("{items:?}")
    };
    assert_eq!(**found, organization());
    assert_eq!(*first, collection("documents", &[("one", "a,-b.c"), ("two", "d")]));
    for (item, document) in others.iter().zip(documents()) {
        let ArchiveItem::Document(found) = item else { panic!("{item:?}") };
        let found = found.clone().with_id(|| unreachable!());
        assert_eq!(found.as_bytes(), document.as_bytes());
    }
    let bytes = documents().iter().map(|document| document.as_bytes().len() as u64).sum::<u64>();
    let [
        ArchiveItem::CollectionEnd(first),
        ArchiveItem::Collection(_),
        ArchiveItem::CollectionEnd(empty),
        ArchiveItem::End(end),
    ] = &others[3..]
    else {
        panic!("{items:?}")
    };
    assert_eq!((first.documents, first.bytes, empty.documents, empty.bytes), (3, bytes, 0, 0));
    assert_eq!((end.collections, end.documents, end.bytes), (2, 3, bytes));
    assert_eq!(verify(&whole()).unwrap(), *end);
}

/// Programs that use MongoDB directly may store any names.
#[test]
fn document_with_names_of_programs_is_kept_exactly() {
    let odd = rawdoc! { "_id": 1, "a.b": 1, "$x": { "$oid": "text" }, "r": { "$id": 1, "$ref": "c" } };
    let mut out = Vec::new();
    let manifest = Manifest::new(Timestamp::UNIX_EPOCH);
    let mut writer = ArchiveWriter::begin(manifest, organization(), &mut out).unwrap();
    writer.collection(collection("odd", &[]), &mut out).unwrap();
    writer.document(&odd, &mut out);
    writer.end_collection(&mut out).unwrap();
    writer.end(Vec::new(), &mut out).unwrap();
    let items = read(&out).unwrap();
    let ArchiveItem::Document(found) = &items[3] else { panic!("{items:?}") };
    assert_eq!(found.clone().with_id(|| unreachable!()).as_bytes(), odd.as_bytes());
    let (text, total) = (String::from_utf8(out.clone()).unwrap(), verify(&out).unwrap());
    assert_eq!((total.documents, total.bytes), (1, odd.as_bytes().len() as u64));
    let line = text.lines().find(|line| line.starts_with(r#"{"bson":""#)).unwrap();
    for broken in [r#"{"bson":"x"}"#, r#"{"bson":"BQAAAAA="}"#, r#"{"bson":"BQAAAAA=","a":1}"#] {
        let detail = refused(text.replace(line, broken).as_bytes());
        assert!(detail.contains("Line 4"), "{detail}");
    }
}

#[test]
fn archive_format_matches_documentation() {
    let text = String::from_utf8(whole()).unwrap();
    let shown: Vec<&str> = text.lines().filter(|line| !line.contains("manifest")).collect();
    assert_eq!(
        shown[0],
        format!(
            concat!(
                r#"{{"organization":{{"id":"010101010101010101010101","organization_name":"Acme Corp","#,
                r#""placement":"shared","suspended":false,"delete_protection":true,"legal_hold":false,"#,
                r#""quota":{{"documents":5,"bytes":null,"collections":null}},"created_at":"2023-11-14T22:13:20Z","#,
                r#""owner":{{"id":"020202020202020202020202","email":"Owner@acme.example","password_hash":"{}"}}}}}}"#
            ),
            HASH
        )
    );
    assert_eq!(
        shown[1],
        concat!(
            r#"{"collection":{"name":"documents","indexes":[{"name":"one","keys":"a,-b.c","unique":true},"#,
            r#"{"name":"two","keys":"d","unique":false}]}}"#
        )
    );
    assert_eq!(shown[3], r#"{"document":{"_id":"two","when":{"$date":{"$numberLong":"-1"}}}}"#);
    let first = digest(text.lines().filter(|line| line.starts_with("{\"document\"")));
    assert!(shown[5].ends_with(&format!(r#""sha256":"{first}"}}}}"#)), "{}", shown[5]);
    let before_end = digest(text.lines().filter(|line| !line.starts_with("{\"end\"")));
    assert!(shown[8].ends_with(&format!(r#""sha256":"{before_end}"}}}}"#)), "{}", shown[8]);
}

#[test]
fn archived_index_keeps_what_not_every_index_has() {
    let json = concat!(
        r#"{"name":"documents","indexes":[{"name":"a","keys":"x","unique":true,"sparse":true},"#,
        r#"{"name":"b","keys":"y","unique":false,"#,
        r#""partial_filter":{"s":"open","n":{"$gt":{"$numberInt":"5"}}},"expire_after_seconds":60}]}"#
    );
    let read: ArchivedCollection = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
    for (from, to) in [
        (r#""unique":true,"#, r#""unique":true,"partial_filter":{"s":1},"#),
        (r#""s":"open""#, r#""s":{"$ne":1}"#),
        (r#""keys":"y""#, r#""keys":"y,z""#),
        ("60", "-1"),
        (r#""sparse""#, r#""other""#),
    ] {
        let bad = json.replace(from, to);
        assert!(serde_json::from_str::<ArchivedCollection>(&bad).is_err(), "{bad}");
    }
}

fn digest<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()))
}

#[test]
fn archive_lines_do_not_depend_on_chunk_boundaries() {
    let expected: Vec<_> = whole().split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    for chunk in [1, 2, 7, 64, 1 << 20] {
        assert_eq!(lines(&whole(), chunk), expected[..expected.len() - 1]);
    }
}

#[test]
fn archive_truncated_at_any_byte_is_rejected() {
    let archive = whole();
    // The last line feed alone may be missing.
    assert!(read(&archive[..archive.len() - 1]).is_ok());
    for length in 0..archive.len() - 1 {
        refused(&archive[..length]);
        assert!(verify(&archive[..length]).is_err(), "{length}");
    }
}

#[test]
fn archive_with_lines_missing_repeated_or_swapped_is_rejected() {
    let archive = whole();
    let all: Vec<&[u8]> = archive.split_inclusive(|byte| *byte == b'\n').collect();
    for at in 0..all.len() {
        refused(&[&all[..at], &all[at + 1..]].concat().concat());
        refused(&[&all[..=at], &all[at..]].concat().concat());
        if at > 0 {
            let mut swapped = all.clone();
            swapped.swap(at - 1, at);
            refused(&swapped.concat());
        }
    }
}

proptest! {
    #[test]
    fn archive_with_flipped_bit_is_rejected(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut archive = whole();
        // The last line feed belongs to nothing.
        let at = at.index(archive.len() - 1);
        archive[at] ^= 1 << bit;
        prop_assert_eq!(read(&archive).unwrap_err().code(), ErrorCode::ArchiveInvalid);
        prop_assert!(verify(&archive).is_err());
    }
}

#[test]
fn archive_error_names_the_member_and_what_it_must_be() {
    for (from, to, expected) in [
        ("\"suspended\":false", "\"suspended\":\"yes\"", "`/organization/suspended`: Must be true or false."),
        (
            "\"created_at\":\"20",
            "\"created_at\":\"yesterday",
            "`/organization/created_at`: Must be a time as in RFC 3339, such as `2027-01-31T12:00:00Z`.",
        ),
        ("\"placement\":\"shared\"", "\"placement\":\"moon\"", "`/organization/placement`: Must be "),
        ("\"indexes\":[", "\"indexes\":5,\"x\":[", "`/collection/indexes`: Must be an array."),
        (
            "\"organization_name\":\"Acme Corp\"",
            "\"organization_name\":5",
            "`/organization/organization_name`: ",
        ),
        ("\"version\":2", "\"version\":\"2\"", "`/manifest/version`: Must be a whole number, 0 or more."),
        ("\"exported_at\":\"1970", "\"exported_at\":\"soon", "`/manifest/exported_at`: Must be a time"),
    ] {
        let error = refused(&with(from, to));
        assert!(error.contains(&format!("of the archive: The member {expected}")), "{to}: {error}");
    }
    assert_eq!(
        refused(&[whole(), b"\n".to_vec()].concat()),
        format!("Line {} of the archive: Is blank: remove the line.", lines(&whole(), 4096).len() + 1)
    );
}

#[test]
fn archive_error_names_the_line() {
    let other = String::from_utf8(whole()).unwrap();
    let twice = [whole(), whole()].concat();
    for (archive, expected) in [
        (Vec::new(), "Line 1 of the archive: Is missing"),
        (b"PK\x03\x04\n".to_vec(), "Line 1 of the archive: It is a ZIP archive"),
        (
            b"{\"end\":{}}".to_vec(),
            "Line 1 of the archive: The text is not a line of an archive (missing field",
        ),
        (with("\"version\":2", "\"version\":3"), "Line 1 of the archive: This service reads"),
        (with("tenantry-archive", "zip"), "Line 1 of the archive: This service reads"),
        (
            with("Acme Corp", "A"),
            "Line 2 of the archive: The member `/organization/organization_name`: Must have 2",
        ),
        (with("Owner@acme", "acme"), "Line 2 of the archive: The member `/organization/owner/email`: "),
        (with("$argon2id$v=19$m=19456,", "$argon2id$v=19$m=4000000,"), "Line 2 of the archive: The owner's"),
        (
            with("\"suspended\":false", "\"role\":1"),
            "Line 2 of the archive: The member `/organization/role`: ",
        ),
        (
            with("\"documents\",\"indexes\"", "\"system.x\",\"indexes\""),
            "Line 3 of the archive: The member `/collection/name`: ",
        ),
        (
            with("\"documents\":5", "\"documents\":18446744073709551615"),
            "Line 2 of the archive: The member `/organization/quota",
        ),
        (
            with("\"documents\":5", "\"documents\":9007199254740993"),
            "Line 2 of the archive: The member `/organization/quota",
        ),
        (
            with("\"documents\":5", "\"documents\":-1"),
            "Line 2 of the archive: The member `/organization/quota",
        ),
        (
            with("\"documents\":5", "\"documents\":5,\"words\":5"),
            "Line 2 of the archive: The member `/organization/quota",
        ),
        (with("a,-b.c", "$a"), "Line 3 of the archive: The member `/collection/indexes`: an index cannot be"),
        (with("\"name\":\"two\"", "\"name\":\"one\""), "Line 3 of the archive: A collection has at most"),
        (
            with("\"a\":{\"$numberLong\"", "\"$a\":{\"$numberLong\""),
            "Line 4 of the archive: The field /$a of",
        ),
        (with("{\"_id\":\"two\",", "{"), "Line 5 of the archive: The document has no `_id`."),
        (with("\"_id\":\"two\"", "\"_id\":null"), "Line 5 of the archive: The field /_id of the document"),
        (with("\"_id\":\"two\"", "\"_id\":\"too\""), "Line 7 of the archive: Name, counts or checksum"),
        (with("\"documents\":3", "\"documents\":2"), "Line 7 of the archive: Name, counts or checksum"),
        (with("{\"collection\":{\"name\":\"empty\"", "{\"collection\":{\"name\":\"documents\""), "Line 8"),
        (
            with("\"exported_at\":\"1970", "\"exported_at\":\"1971"),
            "Line 10 of the archive: Counts or checksum",
        ),
        (with("\n", "\n\n"), "Line 2 of the archive: Is blank: remove the line."),
        (
            with(
                "{\"collection_end\"",
                "{\"collection\":{\"name\":\"x\",\"indexes\":[]}}\n{\"collection_end\"",
            ),
            "Line 7",
        ),
        (twice, "Line 11 of the archive: Something follows"),
        (
            (other.clone() + &other[other.find("{\"document\"").unwrap()..]).into_bytes(),
            "Line 11 of the archive: Something",
        ),
    ] {
        let sentence = refused(&archive);
        assert!(sentence.starts_with(expected), "{sentence}\nand not {expected}");
        assert!(!sentence.contains("argon2"), "{sentence}");
    }
}

#[test]
fn archive_size_is_bounded() {
    let mut lines = ArchiveLines::new(100);
    lines.push(&[b'x'; 100]);
    assert!(lines.take().unwrap().is_none());
    lines.push(b"\n");
    assert_eq!(lines.take().unwrap().unwrap().len(), 100);
    lines.push(&[b'x'; 101]);
    assert!(lines.take().unwrap_err().sentence().starts_with("Line 2 of the archive: Is longer"));

    let mut reader = ArchiveReader::new(100);
    for line in whole().split(|byte| *byte == b'\n').take(3) {
        reader.read(line).unwrap();
    }
    let large = format!("{{\"document\":{{\"_id\":1,\"a\":\"{}\"}}}}", "x".repeat(100));
    assert!(reader.read(large.as_bytes()).unwrap_err().sentence().contains("at most 100 are allowed"));

    let indexes: Vec<_> = (0..=INDEXES_MAX).map(|n| (format!("i{n}"), format!("a{n}"))).collect();
    let indexes: Vec<_> = indexes.iter().map(|(name, keys)| (name.as_str(), keys.as_str())).collect();
    let mut out = Vec::new();
    let mut writer =
        ArchiveWriter::begin(Manifest::new(Timestamp::UNIX_EPOCH), organization(), &mut out).unwrap();
    writer.collection(collection("a", &indexes), &mut out).unwrap();
    assert!(refused(&out).contains("at most 32 indexes"));

    out.clear();
    let mut writer =
        ArchiveWriter::begin(Manifest::new(Timestamp::UNIX_EPOCH), organization(), &mut out).unwrap();
    for n in 0..=COLLECTIONS_MAX {
        writer.collection(collection(&format!("c{n}"), &[]), &mut out).unwrap();
        writer.end_collection(&mut out).unwrap();
    }
    assert!(refused(&out).contains("at most 1000 collections"));
}

/// The longest line that the reader accepts holds every allowed document, however it is written.
#[test]
fn archive_document_line_fits_the_longest_line() {
    let empty = || bson::Regex { pattern: bson::raw::cstr!("").into(), options: bson::raw::cstr!("").into() };
    let mut worst = RawDocumentBuf::new();
    for code in 1..32_u8 {
        worst.append(bson::raw::CString::try_from(String::from(char::from(code))).unwrap(), empty());
    }
    let many: bson::raw::RawArrayBuf =
        (0..1000).map(|_| bson::raw::RawBson::Document(worst.clone())).collect();
    let document = rawdoc! { "_id": 1, "a": many };
    let mut line = Vec::new();
    tenantry_documents::document::write_canonical_json(&document, &mut line);
    assert!(line.len() < line_max_bytes(document.as_bytes().len()));
    assert!(line.len() > 10 * document.as_bytes().len(), "the spread is not needed");
}

/// Editors and transfers may add a byte order mark and CRLF; that is no damage.
#[test]
fn archive_accepts_byte_order_mark_and_crlf() {
    let edited = String::from_utf8(whole()).unwrap().replace('\n', "\r\n");
    let items = read(format!("\u{feff}{edited}").as_bytes()).unwrap();
    assert_eq!(items.len(), read(&whole()).unwrap().len());
    // Not in the middle of a line, and not behind the first.
    assert!(read(edited.replacen("{\"document\"", "\u{feff}{\"document\"", 1).as_bytes()).is_err());
}

/// No change of an archive makes another whole one.
#[test]
fn fuzz_archive() {
    let archive = String::from_utf8(whole()).unwrap();
    // What editors add to the ends of lines changes nothing.
    let bare = |archive: &[u8]| -> Vec<Vec<u8>> {
        let archive = archive.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(archive);
        archive
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec())
            .collect()
    };
    tenantry_test_fuzz::fuzz(&[&archive, r#"{"manifest":{}}"#], |input| {
        if read(input).is_ok() {
            assert_eq!(bare(input), bare(archive.as_bytes()));
        }
    });
}
