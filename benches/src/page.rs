//! `docs/report.md` and its plots, made of recorded results and nothing else.

mod sections;
mod svg;

use crate::results::{Results, Row};
use anyhow::{Context, Result};
use sections::{Column, OVERVIEW, SECTIONS, Section, Table, WHAT_IS_COMPARED};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::slice;
use svg::{Axis, Line, Panel};

/// The page.
const PAGE: &str = "report.md";
/// The folder of its plots, and of the results that it is made of.
const FOLDER: &str = "report";
const RESULTS: &str = "results.json";
/// Connections of the overview, at most.
const OVERVIEW_CONNECTIONS: f64 = 16.0;

/// The share of a watch that is surely before the load.
const REST: f64 = 0.14;

/// A file of the page: its path, and its text.
type File = (String, String);

/// Writes the results and the page below `directory`.
pub fn publish(results: &Results, directory: &Path) -> Result<()> {
    let folder = directory.join(FOLDER);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(RESULTS), format!("{}\n", serde_json::to_string_pretty(results)?))?;
    for (path, text) in render(results) {
        let path = directory.join(path);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    println!("\nwritten to {}", directory.join(PAGE).display());
    Ok(())
}

/// Makes the page below `directory` again, of the results that are there.
pub fn refresh(directory: &Path) -> Result<()> {
    publish(&recorded(directory)?, directory)
}

fn recorded(directory: &Path) -> Result<Results> {
    let file = directory.join(FOLDER).join(RESULTS);
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    Ok(serde_json::from_str(&text)?)
}

/// The page and its plots.
fn render(results: &Results) -> Vec<File> {
    let mut page = head(results);
    let mut files = Vec::new();
    for section in &SECTIONS {
        let Some(rows) = results.sections.get(section.name).filter(|rows| !rows.is_empty()) else { continue };
        let plot = format!("{FOLDER}/{}.svg", section.name.replace('_', "-"));
        let _ =
            write!(page, "\n## {}\n\n{}\n\n![{}]({plot})\n\n", section.title, section.text, section.title);
        page += &table(results, section, rows);
        files.push((plot, svg::render(section.title, &panels(results, section, rows))));
    }
    files.push((PAGE.to_owned(), page));
    files
}

fn head(results: &Results) -> String {
    let machine = &results.machine;
    let unknown = || "unknown".to_owned();
    let mut head = format!(
        "<!-- Made by `cargo xtask bench --report` of docs/report/results.json; do not edit. -->\n\n# Report\n\n\
         Tenantry beside other projects that do the same work in the same run, and alone as its data grows.\n\
         `cargo xtask bench --report` installs them, measures, and writes this page; [Benchmarks](benchmarks.md) measures \
         the service against what bounds it.\n\
         Machines differ, so figures of one run are to be compared with each other and with nothing else.\n\n\
         {}, {} cores of {}, {}; mongod {}.\n",
        results.date,
        machine.cores,
        machine.processor.clone().unwrap_or_else(unknown),
        machine.system.clone().unwrap_or_else(unknown),
        machine.mongod.clone().unwrap_or_else(unknown),
    );
    if results.quick {
        head +=
            "\n**This was a shortened run (`--quick`), to see that it works. Its figures prove nothing.**\n";
    }
    head += "\n## What ran\n\n| system | version | |\n|---|---|---|\n";
    for system in &results.systems {
        let state = match &system.not_run {
            None => "ran".to_owned(),
            Some(reason) => format!("not run: {}", cell_text(reason)),
        };
        let _ = writeln!(head, "| {} | {} | {state} |", system.name, system.version);
    }
    let _ = write!(head, "\n## What is compared\n\n{WHAT_IS_COMPARED}\n");
    head + &overview(results)
}

/// Text that is no part of the table it is in.
fn cell_text(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// Every kind of work with the most connections up to 16: rates, and processor time.
fn overview(results: &Results) -> String {
    let systems = names(results);
    let mut text = String::new();
    for (value, title, unit) in [
        (
            "per_second",
            "Requests per second over 16 connections, or as many as were measured below that",
            "/s",
        ),
        (
            "processor_us",
            "Processor time of the system for a request, likewise; that of a `mongod` is not in it",
            " µs",
        ),
    ] {
        let heading = if value == "per_second" { "\n## Overview\n\n" } else { "\n" };
        let _ = write!(
            text,
            "{heading}{title}:\n\n| | {} |\n|---{}|\n",
            systems.join(" | "),
            "|---".repeat(systems.len())
        );
        for (section, title) in OVERVIEW {
            let rows = results.sections.get(section).map(Vec::as_slice).unwrap_or_default();
            let at =
                rows.iter().map(|row| row.at).filter(|at| *at <= OVERVIEW_CONNECTIONS).fold(0.0, f64::max);
            let column = [Column { value, title: "", unit }];
            let cells: Vec<String> = systems.iter().map(|name| cell(find(rows, name, at), &column)).collect();
            let _ = writeln!(text, "| {title} | {} |", cells.join(" | "));
        }
    }
    text
}

/// The systems that ran.
fn names(results: &Results) -> Vec<&str> {
    results
        .systems
        .iter()
        .filter(|system| system.not_run.is_none())
        .map(|system| system.name.as_str())
        .collect()
}

fn find<'a>(rows: &'a [Row], system: &str, at: f64) -> Option<&'a Row> {
    rows.iter().find(|row| row.system == system && row.at.total_cmp(&at).is_eq())
}

fn panels(results: &Results, section: &Section, rows: &[Row]) -> Vec<Panel> {
    let panel = |plot: &sections::Plot| {
        let mut lines = Vec::new();
        for (color, system) in results.systems.iter().enumerate() {
            let of_system = rows.iter().filter(|row| row.system == system.name);
            let points: Vec<(f64, f64)> =
                of_system.filter_map(|row| Some((row.at, row.value(plot.value)?))).collect();
            if !points.is_empty() {
                lines.push(Line { name: system.name.clone(), color, points });
            }
        }
        Panel {
            title: plot.title.to_owned(),
            x: Axis { label: section.x, scale: section.x_scale },
            y: Axis { label: plot.unit, scale: plot.scale },
            lines,
        }
    };
    section.plots.iter().map(panel).collect()
}

fn table(results: &Results, section: &Section, rows: &[Row]) -> String {
    let mut places: Vec<f64> = rows.iter().map(|row| row.at).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let systems: Vec<&str> =
        names(results).into_iter().filter(|name| rows.iter().any(|row| row.system == *name)).collect();
    let mut text = String::new();
    match &section.table {
        Table::BySystem(columns) => {
            let titles: Vec<&str> = columns.iter().map(|column| column.title).collect();
            let heads: Vec<String> = places.iter().map(|place| number(*place)).collect();
            let _ = write!(text, "In a cell: {}.\n\n", titles.join(", "));
            let _ = writeln!(
                text,
                "| {} | {} |\n|---{}|",
                section.x,
                heads.join(" | "),
                "|---:".repeat(heads.len())
            );
            for system in systems {
                let cells: Vec<String> =
                    places.iter().map(|place| cell(find(rows, system, *place), columns)).collect();
                let _ = writeln!(text, "| {system} | {} |", cells.join(" | "));
            }
        }
        Table::ByPlace(columns) => {
            let titles: Vec<&str> = columns.iter().map(|column| column.title).collect();
            let _ = writeln!(
                text,
                "| {} | {} |\n|---:{}|",
                section.x,
                titles.join(" | "),
                "|---:".repeat(titles.len())
            );
            for row in rows {
                let cells: Vec<String> =
                    columns.iter().map(|column| cell(Some(row), slice::from_ref(column))).collect();
                let _ = writeln!(text, "| {} | {} |", number(row.at), cells.join(" | "));
            }
        }
        Table::Extremes(value) => {
            text += "| | at rest, before | at most | at the end |\n|---|---:|---:|---:|\n";
            for system in systems {
                let values = |until: f64| {
                    let of_system = rows.iter().filter(move |row| row.system == system && row.at <= until);
                    of_system.filter_map(|row| row.value(value))
                };
                let end =
                    rows.iter().filter(|row| row.system == system).map(|row| row.at).fold(0.0, f64::max);
                let cells = [
                    values(end * REST).next_back().unwrap_or_default(),
                    values(end).fold(0.0, f64::max),
                    values(end).next_back().unwrap_or_default(),
                ];
                let _ = writeln!(text, "| {system} | {} MB |", cells.map(number).join(" MB | "));
            }
        }
    }
    text
}

/// The values of a row; a dash where there is no such work.
fn cell(row: Option<&Row>, columns: &[Column]) -> String {
    let Some(row) = row else { return "–".to_owned() };
    let values: Vec<String> = columns
        .iter()
        .filter_map(|column| Some(format!("{}{}", number(row.value(column.value)?), column.unit)))
        .collect();
    let failed = row.value("failed_percent").unwrap_or_default();
    match (values.is_empty(), failed > 0.0) {
        (true, true) => "failed".to_owned(),
        (true, false) => "–".to_owned(),
        (false, true) => format!("{} ({} % failed)", values.join(", "), number(failed)),
        (false, false) => values.join(", "),
    }
}

/// To three digits, with a comma for thousands.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests;
