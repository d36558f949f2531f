//! Log lines on standard error, chosen by `LANPARTY_LOG`.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::cli::LogFormat;

/// Names of modules and levels, such as `info` or `relay::frames=trace`.
const FILTER: &str = "LANPARTY_LOG";

pub(crate) fn start(format: LogFormat) {
    let filter = EnvFilter::builder()
        .with_env_var(FILTER)
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr);
    match format {
        LogFormat::Text => builder.with_ansi(stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().init(),
    }
}
