//! The findings, as a table and as JSON.

use anyhow::Result;
use serde_json::{Value, json};
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;

/// The aim of a figure.
#[derive(Clone, Copy)]
pub enum Aim {
    AtLeast(f64),
    AtMost(f64),
    /// It is only reported.
    None,
}

/// One figure.
pub struct Finding {
    /// Stable, for those who read the JSON.
    pub name: &'static str,
    /// What it is, in words.
    pub what: String,
    pub measured: f64,
    /// Empty for a ratio.
    pub unit: &'static str,
    pub aim: Aim,
    /// The figures it comes from.
    pub detail: String,
}

impl Finding {
    fn is_met(&self) -> bool {
        match self.aim {
            Aim::AtLeast(aim) => self.measured >= aim,
            Aim::AtMost(aim) => self.measured <= aim,
            Aim::None => true,
        }
    }

    fn to_json(&self) -> Value {
        let (at_least, at_most) = match self.aim {
            Aim::AtLeast(aim) => (Some(aim), None),
            Aim::AtMost(aim) => (None, Some(aim)),
            Aim::None => (None, None),
        };
        json!({
            "name": self.name, "what": self.what, "measured": self.measured, "unit": self.unit,
            "at_least": at_least, "at_most": at_most, "met": self.is_met(), "detail": self.detail,
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let aim = match self.aim {
            Aim::AtLeast(aim) => format!(">= {aim}"),
            Aim::AtMost(aim) => format!("<= {aim}"),
            Aim::None => String::new(),
        };
        let measured = format!("{:.3}", self.measured);
        let verdict = match self.aim {
            Aim::None => "",
            _ if self.is_met() => "met",
            _ => "NOT MET",
        };
        let (what, unit) = (&self.what, self.unit);
        write!(f, "{what:<58} {measured:>9} {unit:<4} {aim:>8} {unit:<4} {verdict:<8} {}", self.detail)
    }
}

/// All of a run.
pub struct Report {
    quick: bool,
    findings: Vec<Finding>,
}

impl Report {
    pub fn new(quick: bool, findings: Vec<Finding>) -> Self {
        Self { quick, findings }
    }

    /// Prints the table and writes `file`. A missed aim is a finding, not a failure.
    pub fn publish(&self, file: &Path) -> Result<()> {
        println!("\n{:<58} {:>9} {:<4} {:>8}", "what", "measured", "", "aim");
        for finding in &self.findings {
            println!("{finding}");
        }
        let met = self.findings.iter().filter(|finding| finding.is_met()).count();
        std::fs::write(file, format!("{:#}\n", self.to_json()))?;
        println!("\n{met} of {} aims met; written to {}", self.findings.len(), file.display());
        Ok(())
    }

    fn to_json(&self) -> Value {
        json!({
            "cores": available_parallelism().map(usize::from).unwrap_or_default(),
            "processor": processor(),
            "system": system_name(),
            "quick": self.quick,
            "findings": self.findings.iter().map(Finding::to_json).collect::<Vec<_>>(),
        })
    }
}

/// The name and version of the kernel, and the machine.
pub fn system_name() -> Option<String> {
    let output = Command::new("uname").arg("-srm").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// The processor's name.
pub fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
