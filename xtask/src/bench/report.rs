//! Everything that a bench found out, as JSON, as text and as plots.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::machine::Machine;
use super::parts::Parts;
use super::{goals, svg};
use crate::table::columns;

const JSON: &str = "report.json";
const TEXT: &str = "report.txt";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    #[serde(flatten)]
    pub(super) parts: Parts,
}

impl Report {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            machine: Machine::here()?,
            parts: Parts::default(),
        })
    }

    pub(super) fn load(directory: &Path) -> Result<Self> {
        let path = directory.join(JSON);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}; measure first", path.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} is not a report of this bench", path.display()))
    }

    /// An earlier report of this machine, or an empty one.
    pub(super) fn load_or_new(directory: &Path) -> Result<Self> {
        let new = Self::new()?;
        if !directory.join(JSON).exists() {
            return Ok(new);
        }
        let earlier = Self::load(directory)?;
        // Figures of two machines do not stand in one table.
        Ok(if earlier.machine == new.machine {
            earlier
        } else {
            new
        })
    }

    pub(super) fn save(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        fs::write(directory.join(JSON), self.json()?)?;
        fs::write(directory.join(TEXT), self.text())?;
        self.save_plots(directory)
    }

    pub(super) fn save_plots(&self, directory: &Path) -> Result<()> {
        for plot in self.parts.sections().iter().flat_map(|part| &part.plots) {
            fs::write(directory.join(plot.file()), svg::draw(plot))?;
        }
        Ok(())
    }

    pub(super) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    pub(super) fn text(&self) -> String {
        let sections = self.parts.sections();
        let parts = sections.iter().map(|part| columns(&part.rows));
        let tables: Vec<String> = parts.chain([columns(&goals::rows(&self.parts))]).collect();
        tables.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: &str = r#"{
        "machine": {
            "cpu": "a CPU", "cores": 2, "memory_mib": 8000,
            "kernel": "Linux 6.1", "versions": ["OpenVPN 2.6"]
        },
        "tunnel": {
            "measured": { "date": "2026-11-22 23:00 UTC", "commit": "abc" },
            "tunnels": [
                { "tunnel": "sealed", "figures": { "tcp_up_mbit_s": 600.0 } },
                { "tunnel": "OpenVPN TAP", "figures": { "tcp_up_mbit_s": 100.0 } }
            ],
            "skipped": []
        }
    }"#;

    #[test]
    fn a_saved_report_is_read_back_as_it_was() {
        let report: Report = serde_json::from_str(SAVED).unwrap();
        let saved: serde_json::Value = serde_json::from_str(SAVED).unwrap();
        let again: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert_eq!(again, saved);
    }

    #[test]
    fn goals_are_judged_by_what_was_saved() {
        let report: Report = serde_json::from_str(SAVED).unwrap();
        let text = report.text();
        let goal = text.lines().find(|line| line.contains("over OpenVPN TAP"));
        assert!(goal.unwrap().contains("6.00x"), "{text}");
        assert!(text.contains("not measured"), "{text}");
    }
}
