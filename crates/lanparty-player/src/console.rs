//! Where the player's sentences go.

use std::fmt;
use std::io::{self, Write as _};

/// Who listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// A person at the terminal.
    Terminal,
    /// A program that reads a JSON object each second.
    Json,
    /// Nobody now: the log keeps it for later, as for a service.
    Log,
}

impl Console {
    /// A closed terminal is not an error of the player's.
    pub(crate) fn say(self, sentence: impl fmt::Display) {
        match self {
            Self::Terminal => {
                let _closed = writeln!(io::stdout(), "{sentence}");
                tracing::debug!("{sentence}");
            }
            Self::Json => tracing::debug!("{sentence}"),
            Self::Log => tracing::info!(target: "player", "{sentence}"),
        }
    }

    pub(crate) fn say_all(self, sentences: &[String]) {
        for sentence in sentences {
            self.say(sentence);
        }
    }
}
