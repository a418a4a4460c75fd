//! The sections of the page: what each measured, in words, plots and tables.

use super::svg::Scale;

/// A section of the page.
pub struct Section {
    /// Its name in the results, and that of its plot.
    pub name: &'static str,
    pub title: &'static str,
    pub text: &'static str,
    /// What its horizontal axis shows.
    pub x: &'static str,
    pub x_scale: Scale,
    pub plots: &'static [Plot],
    pub table: Table,
}

/// One panel of the plot.
pub struct Plot {
    /// The value.
    pub value: &'static str,
    pub title: &'static str,
    pub unit: &'static str,
    pub scale: Scale,
}

/// How the values are shown as text.
pub enum Table {
    /// A row for each system, a column for each place of the axis, with these values in a cell.
    BySystem(&'static [Column]),
    /// A row for each place of the axis, a column for each value.
    ByPlace(&'static [Column]),
    /// A row for each system: the value at rest, the most, and in the end.
    Extremes(&'static str),
}

/// A value in a table.
pub struct Column {
    pub value: &'static str,
    pub title: &'static str,
    /// What follows the number.
    pub unit: &'static str,
}

const RATE_AND_TIMES: [Plot; 2] = [
    Plot { value: "per_second", title: "Throughput", unit: "requests per second", scale: Scale::Logarithmic },
    Plot {
        value: "p99_ms",
        title: "99 of 100 are faster than",
        unit: "milliseconds",
        scale: Scale::Logarithmic,
    },
];
const CELL: [Column; 3] = [
    Column { value: "per_second", title: "per second", unit: "/s" },
    Column { value: "p50_ms", title: "median", unit: " ms" },
    Column { value: "p99_ms", title: "p99", unit: " ms" },
];

const fn by_connections(name: &'static str, title: &'static str, text: &'static str) -> Section {
    Section {
        name,
        title,
        text,
        x: "connections",
        x_scale: Scale::Logarithmic,
        plots: &RATE_AND_TIMES,
        table: Table::BySystem(&CELL),
    }
}

/// All sections, in their order.
pub const SECTIONS: [Section; 11] = [
    by_connections(
        "read",
        "Reading a document",
        "One document by its id, by a signed-in member of its organization; every request asks for another one.",
    ),
    by_connections(
        "list",
        "Listing 20 documents",
        "All 20 documents of a kind, by an index on it, without counting others. Each system returns whole documents.",
    ),
    by_connections(
        "insert",
        "Inserting a document",
        "One document for each request, answered when it is on the disk.\nTenantry, on both engines, writes inserts together that arrive together; alone, each waits for its own write.",
    ),
    by_connections(
        "update",
        "Changing a field",
        "One number in one document, answered when it is on the disk. Nobody names a version that the document must have.",
    ),
    by_connections(
        "organization",
        "Reading an organization",
        "The record of the member's own organization. better-auth lists the organizations of the account, of which there is one.",
    ),
    by_connections(
        "sign_in",
        "Signing in",
        "With address and password. The hash of the password decides, and each project has chosen its own cost: the figures say how long that is, not how good the code around it is.",
    ),
    by_connections(
        "create",
        "Creating an account with its organization",
        "A new address and a new name with each request. In Tenantry this prepares a place of its own for the organization's data, and survives a crash at every step; in the others it is a few records. The hash of the password is most of it.",
    ),
    Section {
        name: "sign_ins",
        title: "Sign-ins against cores",
        text: "16 connections; each system limited to so many cores, with as many processes (Parse Server) or hashing threads (better-auth; Tenantry, which by default uses half of the cores for that). The load runs on the same machine.",
        x: "cores",
        x_scale: Scale::Linear,
        plots: &[Plot { value: "per_second", title: "Sign-ins", unit: "per second", scale: Scale::Linear }],
        table: Table::BySystem(&CELL),
    },
    Section {
        name: "memory",
        title: "Memory over time",
        text: "Each system was started again with the data of the sections above: a sixth of the time at rest, then a mix of seven reads, a list, a change and an insert over 16 connections (better-auth: its organization alone), then at rest. All processes of the system count, what they share once (PSS); a `mongod` does not.",
        x: "seconds",
        x_scale: Scale::Linear,
        plots: &[Plot { value: "mb", title: "Memory", unit: "MB", scale: Scale::Logarithmic }],
        table: Table::Extremes("mb"),
    },
    Section {
        name: "organizations",
        title: "Organizations on one node",
        text: "Tenantry alone, on its embedded engine: any organization by its name over 16 connections, and creates one after the other, with so many organizations that have written nothing yet. In the other systems an organization is a record in a table or collection; a million of those measures their database and says nothing about isolation.",
        x: "organizations",
        x_scale: Scale::Logarithmic,
        plots: &[
            Plot { value: "get_per_second", title: "Lookups", unit: "per second", scale: Scale::Linear },
            Plot {
                value: "create_p50_ms",
                title: "Creating one",
                unit: "milliseconds, median",
                scale: Scale::Linear,
            },
        ],
        table: Table::ByPlace(&[
            Column { value: "get_per_second", title: "lookups per second", unit: "" },
            Column { value: "get_p99_ms", title: "p99 of a lookup", unit: " ms" },
            Column { value: "create_p50_ms", title: "create, median", unit: " ms" },
            Column { value: "create_p99_ms", title: "create, p99", unit: " ms" },
            Column { value: "start_ms", title: "start to first answer", unit: " ms" },
            Column { value: "memory_mb", title: "memory at the end", unit: " MB" },
            Column { value: "disk_mb", title: "on disk", unit: " MB" },
        ]),
    },
    Section {
        name: "renames",
        title: "Renaming an organization",
        text: "Tenantry on both engines, each organization in a container of its own; on MongoDB the collection is renamed, so that programs find it under the new name. In the other systems documents point at the id of their organization, and a rename writes one record: an update as above.",
        x: "documents of the organization",
        x_scale: Scale::Logarithmic,
        plots: &[Plot {
            value: "p50_ms",
            title: "Renaming",
            unit: "milliseconds, median",
            scale: Scale::Linear,
        }],
        table: Table::BySystem(&[Column { value: "p50_ms", title: "median", unit: " ms" }]),
    },
];

/// The work in the overview, by section.
pub const OVERVIEW: [(&str, &str); 7] = [
    ("read", "read"),
    ("list", "list of 20"),
    ("insert", "insert"),
    ("update", "change of a field"),
    ("organization", "organization"),
    ("sign_in", "sign-in"),
    ("create", "account with organization"),
];

/// What is the same for all, and what is not.
pub const WHAT_IS_COMPARED: &str = "\
Ten organizations with an account and an equal number of documents each, made by the same requests in every system.
A document has a title, an owner, tags, pages and a kind; organization and kind are indexed.
The load, the number of connections and the documents are the same, and the systems take turns, round after round; a figure is the median of the rounds.
Every system may use every core: Parse Server and Eve run a process for each, better-auth hashes on a thread for each.

| | data in | an answered write is | organizations are kept apart by | password hash |
|---|---|---|---|---|
| **Tenantry** | a SQLite file for each organization | on the disk (write-ahead log, `synchronous=FULL`) | the file; the rights of the member | Argon2id, 19 MiB, 2 passes |
| **Tenantry on MongoDB** | MongoDB | on the disk (`w: majority, j: true`) | the container; the rights of the member | Argon2id, 19 MiB, 2 passes |
| **PocketBase** | one SQLite file | on the disk: a hook sets `synchronous=FULL` again and again, its own default is `NORMAL` | a rule of the collection: `organization = @request.auth.organization` | bcrypt, cost 10 |
| **Parse Server** | MongoDB | on the disk (`w: majority, j: true`, in the address) | an access list in each document, which names a role | bcrypt, cost 10 |
| **Eve** | MongoDB | on the disk (`w: majority, j: true`, in a data layer of ours: its setting passes on `w` alone) | the field `AUTH_FIELD` of the account | none: it signs nobody in |
| **better-auth** | one SQLite file | on the disk (write-ahead log, `synchronous=FULL`) | its plugin for organizations; it keeps no documents | scrypt, N = 16384, r = 16 |

The run asks PocketBase for its setting and reads from MongoDB's profile with which concern each system has inserted; before and after the work; what is not durable does not count.
It also checks that the token of another organization does not read a document.

What is not the same:

- **Tenantry** checks session, account, membership and organization with each request, from records that may be a second old if another instance has changed them. Its accounts may be in many organizations. Each insert and change gives the document a revision; reads return it as `ETag`.
- **PocketBase** reads the account with each request. An account is in one organization here. It was told not to keep a log of requests and to send no mail about new sign-ins; both would cost it time. The organization and its account are made by one request of its batch API, in one transaction.
- **Parse Server** keeps sessions and roles in memory for five seconds. It makes no index for the token of a session and the members of a role; the run makes both. A function of ours (cloud code) makes account, organization and role in one request. The address of the database carries the write concern. `router` is pinned to 2.2.0.
- **Eve** reads the account of the token with each request, as the token authentication that its documentation describes, and computes an `ETag` of each document. gunicorn runs it, with 32 threads for each process. There is no count of what a list leaves out (`OPTIMIZE_PAGINATION_FOR_SPEED`), and no `If-Match` is asked for.
- **better-auth** is a library; `node:http` serves it, on `node:sqlite`, in one process: of two that share its file, each refuses some changes as `database is locked`. Its limit of requests is off, as that of Tenantry. It reads the session with each request, and could keep it in a cookie instead.
- **No proxy, no TLS** before any of them.";
