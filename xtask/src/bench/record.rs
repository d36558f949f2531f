//! Makes docs/benchmarks.md from a report.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::goals;
use super::report::Report;

const DOCUMENT: &str = "docs/benchmarks.md";
/// Beside the document, which shows them.
const PLOTS: &str = "benchmarks";

const ABOUT: &str = "\
# Benchmarks

Written by `cargo xtask bench --record`; do not edit. Only ratios are worth
comparing: every figure was taken on one machine, in namespaces, with the other
tunnels in the same run, in turns, and is the median of several repeats.
";

const CAVEATS: &str = "\
## What the figures do not say

- Players, relay, gateway, LAN hosts and the load itself share the cores of one
  machine. A tunnel that leaves cores idle on real hosts gains less there than
  here, and none of the rates is one that a home would see.
- The lines have no delay and lose nothing unless a table says otherwise.
- VXLAN encrypts nothing: it shows what the kernel's own path carries, not a
  rival. It has no programs whose CPU time could be counted.
- Datagrams in a VXLAN are moved one by one by the sender's own core, so that
  its rates of UDP are the sender's limit, and no ceiling.
- A rate of UDP is the highest at which under 0.5 % was lost in a short run; a
  longer run would find a lower one, for every tunnel.
";

const REPEAT: &str = "\
## Measuring again

    cargo xtask bench --out DIRECTORY
    cargo xtask bench --out DIRECTORY --record

The first needs root and installs what it lacks; the second writes this page.
`--only PART` measures one part anew and keeps the rest of the report.
";

pub(super) fn write(report: &Report, workspace: &Path) -> Result<()> {
    let plots = workspace.join("docs").join(PLOTS);
    // A plot that is no more would be taken for a new one.
    if plots.exists() {
        fs::remove_dir_all(&plots)?;
    }
    fs::create_dir_all(&plots)?;
    report.save_plots(&plots)?;
    fs::write(workspace.join(DOCUMENT), document(report))?;
    Ok(())
}

fn document(report: &Report) -> String {
    let mut text = ABOUT.to_owned();
    let machine = &report.machine;
    text += &format!(
        "\nMachine: {}, {} cores, {} MiB of memory, {}. {}.\n",
        machine.cpu,
        machine.cores,
        machine.memory_mib,
        machine.kernel,
        machine.versions.join(", ")
    );
    text += &format!("\n## Goals\n\n{}", table(&goals::rows(&report.parts)));
    for section in report.parts.sections() {
        let stamp = &section.measured;
        text += &format!("\n## {}\n\n", section.title);
        text += &format!("Measured {} at commit {}.\n\n", stamp.date, stamp.commit);
        text += &table(&section.rows);
        for plot in &section.plots {
            text += &format!("\n![{}]({PLOTS}/{})\n", plot.title, plot.file());
        }
    }
    format!("{text}\n{CAVEATS}\n{REPEAT}")
}

/// A table of Markdown; the first column holds words, the others figures.
fn table(rows: &[Vec<String>]) -> String {
    let width = rows.iter().map(Vec::len).max().unwrap_or_default();
    let line = |cells: &[String]| {
        let blank = String::new();
        let cells = (0..width).map(|at| cells.get(at).unwrap_or(&blank).replace('|', "\\|"));
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let rule = format!("|---|{}\n", "--:|".repeat(width.saturating_sub(1)));
    let mut rows = rows.iter();
    let heading = rows.next().map(|cells| line(cells)).unwrap_or_default();
    let body: String = rows.map(|cells| line(cells)).collect();
    heading + &rule + &body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_rule_below_its_heading() {
        let rows = [vec!["what", "Mbit/s"], vec!["a|b", "3"]]
            .map(|row| row.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(
            table(&rows),
            "| what | Mbit/s |\n|---|--:|\n| a\\|b | 3 |\n"
        );
    }
}
