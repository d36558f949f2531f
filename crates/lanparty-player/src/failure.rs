//! How the program ends when it cannot go on: one sentence and an exit code.

use std::fmt;

use lanparty_client_route::RouteError;
use lanparty_client_tap::TapError;
use lanparty_member_cli::MemberArgsError;
use lanparty_obs::ExitCode;

/// Printed once, at the edge, with the chain of its causes.
#[derive(Debug)]
pub struct Failure {
    code: ExitCode,
    error: anyhow::Error,
}

impl Failure {
    pub fn new(code: ExitCode, error: impl Into<anyhow::Error>) -> Self {
        Self {
            code,
            error: error.into(),
        }
    }

    pub const fn code(&self) -> ExitCode {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl From<MemberArgsError> for Failure {
    fn from(error: MemberArgsError) -> Self {
        Self::new(error.exit_code(), error)
    }
}

impl From<TapError> for Failure {
    fn from(error: TapError) -> Self {
        let code = match error {
            TapError::NotPermitted => ExitCode::Privilege,
            TapError::DeviceMissing
            | TapError::NameInUse { .. }
            | TapError::Name { .. }
            | TapError::Unsupported
            | TapError::Gone { .. }
            | TapError::DriverMissing
            | TapError::DriverTooOld { .. }
            | TapError::NoSuchAdapter { .. }
            | TapError::OtherMac { .. }
            | TapError::InUse { .. }
            | TapError::Create { .. }
            | TapError::Restart { .. }
            | TapError::Registry { .. }
            | TapError::Settings { .. } => ExitCode::Interface,
        };
        Self::new(code, error)
    }
}

impl From<RouteError> for Failure {
    fn from(error: RouteError) -> Self {
        let code = match error {
            RouteError::NotPermitted => ExitCode::Privilege,
            RouteError::Journal(_) => ExitCode::State,
            RouteError::System(_)
            | RouteError::NoIp { .. }
            | RouteError::Switch { .. }
            | RouteError::Captured(_)
            | RouteError::Unsupported => ExitCode::Interface,
        };
        Self::new(code, error)
    }
}

/// Gives an error the exit code that its place in the program means.
pub trait OrExit<T> {
    fn or_exit(self, code: ExitCode) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, code: ExitCode) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(code, error))
    }
}
