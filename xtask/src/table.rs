//! A plain text table that redraws itself in place on a terminal.

use std::io::{IsTerminal as _, Write as _, stdout};

/// Draws frames of text over each other on a terminal, and below each other
/// where the output is a file or a pipe.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    drawn: usize,
}

impl Screen {
    pub(crate) fn draw(&mut self, text: &str) {
        let mut out = stdout().lock();
        if stdout().is_terminal() {
            let mut frame = String::new();
            if self.drawn > 0 {
                frame.push_str(&format!("\x1b[{}A", self.drawn));
            }
            for line in text.lines() {
                frame.push_str(line);
                frame.push_str("\x1b[K\n");
            }
            frame.push_str("\x1b[J");
            self.drawn = text.lines().count();
            let _closed = out.write_all(frame.as_bytes());
        } else {
            let _closed = writeln!(out, "{text}");
        }
        let _closed = out.flush();
    }
}

/// Lays rows out in columns as wide as their widest cell.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    rows.iter()
        .map(|row| {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            format!("  {}\n", cells.join("  ").trim_end())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "b"], ["long", "c"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(columns(&rows), "  a     b\n  long  c\n");
    }
}
