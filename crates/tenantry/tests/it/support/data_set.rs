//! The committed data sets: what an earlier version of the service has written, as `tests/data/README.md` says.
//!
//! A data set is a ZIP file for each engine. [`DataSet::open`] unpacks a copy of it: files into a directory, and on
//! MongoDB the collections into a server of the test's own, because an organization that is a database is called by
//! its id alone, and two tests could not have it on one server.
//!
//! # Pitfalls
//!
//! Everything in it expires: a service that opens it must have its clock at [`DataSet::clock`].

use super::app::{App, Setup};
use super::mongodb_dump as dump;
use super::test_env::{Engine, TestEnv};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tenantry_test_mongod::Mongod;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

/// What wrote a data set: the folder that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// Version 0.1.0, before there were members, keys and a trail.
    First,
    /// The state of 2026-11-30: members, keys, trails, schemas, partial indexes, archives of version 2, backups.
    Second,
}

impl Writer {
    const fn folder(self) -> &'static str {
        match self {
            Self::First => "v0.1.0",
            Self::Second => "2026-11-30",
        }
    }
}

/// The name of its MongoDB database of records.
pub const MASTER_DATABASE: &str = "tenantry";
/// The folders in the ZIP file: files of the data directory, collections, archives of organizations.
const FILES: &str = "data/";
const COLLECTIONS: &str = "dump/";
const ARCHIVES: &str = "archives/";
const BACKUP: &str = "backup/";
const FACTS: &str = "facts.json";

/// A copy of what an earlier version has written, on the engine of this test binary.
pub struct DataSet {
    test_env: TestEnv,
    /// What was in it when it was written: ids, tokens, requests and their responses.
    pub facts: Value,
    entries: BTreeMap<String, Vec<u8>>,
    /// Ends with the test.
    _mongod: Option<Mongod>,
}

impl DataSet {
    /// Unpacks a copy of the first one.
    pub fn open() -> Self {
        Self::open_on(crate::engine())
    }

    /// Unpacks a copy of what that engine has written first.
    pub fn open_on(engine: Engine) -> Self {
        Self::open_of(Writer::First, engine)
    }

    /// Unpacks a copy of what that version has written on that engine.
    pub fn open_of(writer: Writer, engine: Engine) -> Self {
        let entries = unpack(&fs::read(path_of(writer, engine)).unwrap());
        let facts = serde_json::from_slice(&entries[FACTS]).unwrap();
        let (test_env, mongod) = empty_place(engine);
        write_files(&below(&entries, FILES), &test_env.data_dir());
        if let Some(database) = test_env.database() {
            dump::restore(database, &below(&entries, COLLECTIONS));
        }
        Self { test_env, facts, entries, _mongod: mongod }
    }

    /// Packs what a stopped service keeps at `test_env`, with `archives` by their names and a directory of backups, into
    /// the file of this engine.
    pub fn pack(
        writer: Writer,
        test_env: &TestEnv,
        facts: &Value,
        archives: &BTreeMap<String, String>,
        backup: Option<&Path>,
    ) {
        let mut entries = BTreeMap::from([(FACTS.to_owned(), pretty(facts))]);
        read_files(&test_env.data_dir(), FILES, &mut entries);
        if let Some(database) = test_env.database() {
            entries.extend(
                dump::dump(database).into_iter().map(|(name, bytes)| (COLLECTIONS.to_owned() + &name, bytes)),
            );
        }
        for (name, text) in archives {
            entries.insert(format!("{ARCHIVES}{name}.ndjson"), text.clone().into_bytes());
        }
        if let Some(backup) = backup {
            read_files(backup, BACKUP, &mut entries);
        }
        let path = path_of(writer, crate::engine());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, zip(&entries)).unwrap();
    }

    /// Writes the directory of backups.
    pub fn write_backup(&self, directory: &Path) {
        write_files(&below(&self.entries, BACKUP), directory);
    }

    /// Starts the service on it, with the clock at the moment when it was written.
    pub async fn start(&self) -> App {
        self.start_with(self.setup()).await
    }

    /// Starts the service with more settings: `setup` is [`Self::setup`] plus those of the test.
    pub async fn start_with(&self, setup: Setup) -> App {
        setup.start_on(self.test_env.clone()).await
    }

    /// How to start the service on it.
    pub fn setup(&self) -> Setup {
        Setup::unlimited().at_time(self.clock())
    }

    /// Where it is.
    pub fn test_env(&self) -> &TestEnv {
        &self.test_env
    }

    /// When it was written, in milliseconds.
    pub fn clock(&self) -> i64 {
        self.facts["clock"].as_i64().unwrap()
    }

    /// The collections as they were written: `<database>/<collection>`, with the documents of each as raw BSON.
    pub fn collections(&self) -> BTreeMap<String, Vec<u8>> {
        below(&self.entries, COLLECTIONS)
    }

    /// A file of the data directory as it was written.
    pub fn file(&self, name: &str) -> &[u8] {
        &self.entries[&format!("{FILES}{name}")]
    }
}

/// The archives that the first version has exported, from either engine, by `<engine>/<name>`.
pub fn archives() -> BTreeMap<String, String> {
    archives_of(Writer::First)
}

/// The archives that were exported, from either engine, by `<engine>/<name>`.
pub fn archives_of(writer: Writer) -> BTreeMap<String, String> {
    let mut archives = BTreeMap::new();
    for engine in [Engine::Embedded, Engine::MongoDb] {
        let entries = unpack(&fs::read(path_of(writer, engine)).unwrap());
        for (name, bytes) in below(&entries, ARCHIVES) {
            archives.insert(format!("{engine:?}/{name}"), String::from_utf8(bytes).unwrap());
        }
    }
    archives
}

/// A place with nothing in it, on a MongoDB server of its own where that is the engine.
pub fn empty_place(engine: Engine) -> (TestEnv, Option<Mongod>) {
    match engine {
        Engine::Embedded => (TestEnv::on(engine), None),
        Engine::MongoDb => {
            let mongod = Mongod::start();
            (TestEnv::named(&mongod.uri(), MASTER_DATABASE), Some(mongod))
        }
    }
}

fn path_of(writer: Writer, engine: Engine) -> PathBuf {
    let name = match engine {
        Engine::Embedded => "embedded",
        Engine::MongoDb => "mongodb",
    };
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/{}/{name}.zip", writer.folder()))
}

fn pretty(facts: &Value) -> Vec<u8> {
    serde_json::to_vec_pretty(facts).unwrap()
}

/// The entries whose names begin so, without that beginning.
fn below(entries: &BTreeMap<String, Vec<u8>>, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let found = entries
        .iter()
        .filter_map(|(name, bytes)| Some((name.strip_prefix(folder)?.to_owned(), bytes.clone())));
    found.collect()
}

fn unpack(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut entries = BTreeMap::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        entries.insert(file.name().unwrap().into_owned(), bytes);
    }
    entries
}

fn zip(entries: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer.start_file(name, SimpleFileOptions::default().compression_level(Some(9))).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn read_files(directory: &Path, prefix: &str, entries: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            read_files(&path, &format!("{name}/"), entries);
        } else {
            entries.insert(name, fs::read(path).unwrap());
        }
    }
}

fn write_files(files: &BTreeMap<String, Vec<u8>>, directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    for (name, bytes) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        // As the service makes its files: some of them are secrets.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}
