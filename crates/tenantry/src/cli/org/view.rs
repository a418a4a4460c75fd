//! Organizations as text for people.

use jiff::Timestamp;
use serde::Deserialize;

/// An organization, as far as it is shown.
#[derive(Debug, Clone, Deserialize)]
pub struct Organization {
    /// Its id.
    pub id: String,
    /// Its name.
    pub organization_name: String,
    /// Its identifier.
    pub organization_identifier: String,
    tenant_collection: Option<String>,
    tenant_database: Option<String>,
    pub admin_email: Option<String>,
    admin_id: String,
    placement: String,
    status: String,
    delete_protection: bool,
    legal_hold: bool,
    quota: Quota,
    created_at: Timestamp,
    modified_at: Timestamp,
    deleted_at: Option<Timestamp>,
    /// When it will be purged, if it is deleted.
    pub purge_at: Option<Timestamp>,
}

/// How much it may have.
#[derive(Debug, Clone, Deserialize)]
struct Quota {
    documents: Option<u64>,
    bytes: Option<u64>,
    collections: Option<u64>,
    /// Absent from older servers.
    #[serde(default)]
    index_bytes: Option<u64>,
}

/// A moment to the second, in UTC.
pub fn utc(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Everything about one.
pub fn details(organization: &Organization) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let on_or_off = |on: bool| if on { "on" } else { "off" }.to_owned();
    let limit = |limit: Option<u64>| limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
    let mut rows = vec![
        ("id", organization.id.clone()),
        ("name", organization.organization_name.clone()),
        ("identifier", organization.organization_identifier.clone()),
        ("status", organization.status.clone()),
        ("admin", text(&organization.admin_email)),
        ("admin id", organization.admin_id.clone()),
        ("container", text(&organization.tenant_collection)),
        ("database", text(&organization.tenant_database)),
        ("placement", organization.placement.clone()),
        ("created", utc(organization.created_at)),
        ("modified", utc(organization.modified_at)),
        ("delete protection", on_or_off(organization.delete_protection)),
        ("legal hold", on_or_off(organization.legal_hold)),
        ("document quota", limit(organization.quota.documents)),
        ("byte quota", limit(organization.quota.bytes)),
        ("collection quota", limit(organization.quota.collections)),
        ("index byte quota", limit(organization.quota.index_bytes)),
    ];
    rows.extend(organization.deleted_at.map(|moment| ("deleted", utc(moment))));
    rows.extend(organization.purge_at.map(|moment| ("kept until", utc(moment))));
    let rows: Vec<_> = rows.into_iter().map(|(label, value)| [label.to_owned(), value]).collect();
    align(&rows)
}

/// A table with a line for each. The name comes last: only its characters may be wider than one column.
pub fn table(organizations: &[Organization]) -> String {
    if organizations.is_empty() {
        return "No organizations.".to_owned();
    }
    let headings = ["ID", "IDENTIFIER", "STATUS", "CREATED", "KEPT UNTIL", "ADMIN", "NAME"];
    let rows: Vec<_> =
        std::iter::once(headings.map(str::to_owned)).chain(organizations.iter().map(row)).collect();
    align(&rows)
}

fn row(organization: &Organization) -> [String; 7] {
    let nothing = || "-".to_owned();
    [
        organization.id.clone(),
        organization.organization_identifier.clone(),
        organization.status.clone(),
        utc(organization.created_at),
        organization.purge_at.map_or_else(nothing, utc),
        organization.admin_email.clone().unwrap_or_else(nothing),
        organization.organization_name.clone(),
    ]
}

/// Aligns the columns of rows.
pub fn align<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let line = |row: &[String; COLUMNS]| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    let lines: Vec<_> = rows.iter().map(line).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn organization(name: &str, deleted: bool) -> Organization {
        let moment = deleted.then_some("2026-01-02T03:04:05.678Z");
        serde_json::from_value(serde_json::json!({
            "id": "674f1c2e9b1d4a0c5e8f7a6b",
            "organization_name": name,
            "organization_identifier": "acme",
            "tenant_collection": "tenant_acme",
            "admin_email": "admin@acme.com",
            "admin_id": "674f1c2e9b1d4a0c5e8f7a6c",
            "placement": "database",
            "status": if deleted { "deleted" } else { "active" },
            "delete_protection": false,
            "legal_hold": true,
            "quota": { "documents": 1000, "bytes": null, "collections": 10 },
            "created_at": "2026-01-01T00:00:00Z",
            "modified_at": "2026-01-02T03:04:05.678Z",
            "deleted_at": moment,
            "purge_at": moment,
            "a_field_of_a_later_version": 1,
        }))
        .unwrap()
    }

    #[test]
    fn organization_table_aligns_columns() {
        let table = table(&[organization("Acme", false), organization("株式会社", true)]);
        assert_eq!(
            table.lines().collect::<Vec<_>>(),
            [
                "ID                        IDENTIFIER  STATUS   CREATED                  KEPT UNTIL               ADMIN           NAME",
                "674f1c2e9b1d4a0c5e8f7a6b  acme        active   2026-01-01 00:00:00 UTC  -                        admin@acme.com  Acme",
                "674f1c2e9b1d4a0c5e8f7a6b  acme        deleted  2026-01-01 00:00:00 UTC  2026-01-02 03:04:05 UTC  admin@acme.com  株式会社",
            ]
        );
        assert_eq!(super::table(&[]), "No organizations.");
    }

    #[test]
    fn organization_details_have_a_line_each() {
        let details = details(&organization("Acme Corp", true));
        assert_eq!(details.lines().count(), 19);
        for line in [
            "id                 674f1c2e9b1d4a0c5e8f7a6b",
            "name               Acme Corp",
            "delete protection  off",
            "legal hold         on",
            "document quota     1000",
            "byte quota         none",
            "kept until         2026-01-02 03:04:05 UTC",
        ] {
            assert!(details.lines().any(|found| found == line), "{line} is missing in\n{details}");
        }
    }
}
