//! An invite as a QR code on a terminal.

use std::fmt;

use qrcodegen::{QrCode, QrCodeEcc};

/// Modules around the code that readers expect to be light (ISO/IEC 18004
/// section 6.3.8).
const QUIET_ZONE: i32 = 4;
/// Black on white whatever the terminal's own colours are: many readers do
/// not take a code with light and dark exchanged.
const COLOURS: &str = "\x1b[38;5;16;48;5;231m";
const RESET: &str = "\x1b[0m";

/// Two modules a character, one above the other, which makes them square.
pub(super) fn write(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // A screen damages nothing; less redundancy makes larger modules.
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Low) else {
        // An invite always fits; the text alone would do too.
        return Ok(());
    };
    let range = -QUIET_ZONE..code.size() + QUIET_ZONE;
    for y in range.clone().step_by(2) {
        f.write_str(COLOURS)?;
        for x in range.clone() {
            // Outside the code there is light, also below an odd last row.
            f.write_str(match (code.get_module(x, y), code.get_module(x, y + 1)) {
                (true, true) => "█",
                (true, false) => "▀",
                (false, true) => "▄",
                (false, false) => " ",
            })?;
        }
        writeln!(f, "{RESET}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use lanparty_net::invite::MAX_INVITE_LEN;

    use super::*;

    struct Picture<'a>(&'a str);

    impl fmt::Display for Picture<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write(self.0, f)
        }
    }

    /// The rows of modules, dark ones as true.
    fn modules(picture: &str) -> Vec<Vec<bool>> {
        let mut rows = Vec::new();
        for line in picture.lines() {
            let line = line.strip_prefix(COLOURS).unwrap();
            let line = line.strip_suffix(RESET).unwrap();
            let row = |dark: &str| line.chars().map(|it| dark.contains(it)).collect();
            rows.extend([row("█▀"), row("█▄")]);
        }
        rows
    }

    #[test]
    fn the_code_on_the_terminal_is_the_code_of_the_link() {
        let link = "lanparty://relay.example/ROOM1#abcdefg";
        let code = QrCode::encode_text(link, QrCodeEcc::Low).unwrap();
        let rows = modules(&Picture(link).to_string());
        for (y, row) in rows.iter().enumerate() {
            assert_eq!(row.len(), usize::try_from(code.size()).unwrap() + 8);
            for (x, dark) in row.iter().enumerate() {
                let (x, y) = (x as i32 - QUIET_ZONE, y as i32 - QUIET_ZONE);
                assert_eq!(*dark, code.get_module(x, y), "{x} {y}");
            }
        }
    }

    #[test]
    fn the_longest_invite_has_a_code() {
        let text = "x".repeat(MAX_INVITE_LEN);
        assert!(Picture(&text).to_string().lines().count() > 30);
    }
}
