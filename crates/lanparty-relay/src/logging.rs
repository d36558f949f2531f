//! Log lines on standard error, chosen by `LANPARTY_LOG`.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;

/// Names of modules and levels, such as `info` or `relay::frames=trace`.
const FILTER: &str = "LANPARTY_LOG";

pub(crate) fn start(format: LogFormat) {
    // A later directive of the same breadth replaces `info`; a narrower one
    // stands beside it. The libraries warn of what any stranger can do, as
    // often as it does it; `quinn_proto=debug` has it told.
    let chosen = std::env::var(FILTER).unwrap_or_default();
    let filter =
        EnvFilter::builder().parse_lossy(format!("info,quinn_proto=error,rustls=error,{chosen}"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr);
    match format {
        LogFormat::Text => builder.with_ansi(stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().init(),
    }
}
