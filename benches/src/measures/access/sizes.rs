//! An organization of 100,000 members and an account of 1,000 organizations, to small ones: the most that limits allow.

use super::Side;
use crate::Bench;
use crate::client::Request;
use crate::data::members::{EVERYWHERE, Members};
use crate::measures::engine::Engine;
use crate::report::{Aim, Finding};
use crate::server::Server;
use crate::statistics::Pairs;
use crate::tenant::Tenant;
use anyhow::Result;

/// Documents there are.
const DOCUMENTS: u32 = 1_000;
/// With the owner and the account that is everywhere, the most members there may be.
const MEMBERS: u32 = 99_998;
/// The most organizations that an account may belong to.
const ORGANIZATIONS: u32 = 1_000;

/// What is asked for, and by whom.
struct Case {
    names: [&'static str; 2],
    what: &'static str,
    request: fn(&Node) -> Vec<Request>,
}

const CASES: [Case; 3] = [
    Case {
        names: ["access_embedded_sizes_read", "access_mongodb_sizes_read"],
        what: "a document",
        request: |node| node.everywhere.reads(DOCUMENTS),
    },
    Case {
        names: ["access_embedded_sizes_organization", "access_mongodb_sizes_organization"],
        what: "the organization",
        request: |node| vec![node.everywhere.organization()],
    },
    Case {
        names: ["access_embedded_sizes_members", "access_mongodb_sizes_members"],
        what: "two members",
        request: |node| vec![node.owner.members(2)],
    },
];

/// Both services run throughout and take turns.
pub fn measure(bench: &Bench, engine: Engine<'_>) -> Result<Vec<Finding>> {
    let of_the_first = MEMBERS / bench.shrink;
    let large = Members { organizations: ORGANIZATIONS / bench.shrink, of_the_first };
    let large = Node::start(bench, engine, "large", large)?;
    let small = Node::start(bench, engine, "small", Members { organizations: 1, of_the_first: 0 })?;
    let mut findings = Vec::new();
    for case in CASES {
        let mut sides = [
            Side::new(bench, &large.server, (case.request)(&large))?,
            Side::new(bench, &small.server, (case.request)(&small))?,
        ];
        let mut costs = Pairs::default();
        for _ in 0..bench.rounds {
            costs.push(sides[0].run(bench)?.1, sides[1].run(bench)?.1);
        }
        findings.push(Finding {
            name: engine.pick(case.names),
            what: format!(
                "access, {}: processor time of a read of {} with {} members, for an account of {} organizations, to few",
                engine.name(),
                case.what,
                of_the_first + 2,
                ORGANIZATIONS / bench.shrink
            ),
            measured: costs.ratio()?,
            unit: "",
            aim: Aim::AtMost(1.2),
            detail: format!("{:.1} µs, {:.1} µs", costs.first()?, costs.second()?),
        });
    }
    Ok(findings)
}

/// A service whose first organization has few members or many.
struct Node {
    server: Server,
    owner: Tenant,
    /// By the account that belongs to every organization.
    everywhere: Tenant,
}

impl Node {
    fn start(bench: &Bench, engine: Engine<'_>, name: &str, members: Members) -> Result<Self> {
        let part = format!("access_{}_{name}", engine.name());
        engine.seed(bench, &part, members.organizations)?;
        engine.add_members(bench, &part, members)?;
        let server = engine.start(bench, &part)?;
        let owner = Tenant::sign_in(&server, 0)?;
        owner.fill(DOCUMENTS)?;
        let everywhere = Tenant::sign_in_as(&server, EVERYWHERE, Some("organization-0"))?;
        Ok(Self { server, owner, everywhere })
    }
}
