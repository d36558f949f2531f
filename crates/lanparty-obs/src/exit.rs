//! Process exit codes, the same for every program.

/// What a program's exit status tells a script. `docs/operating.md` lists them
/// for users, so a number never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// The program did what it was asked to do.
    Success = 0,
    /// A failure without a code of its own.
    Failure = 1,
    /// The command line was not understood (clap's own code).
    Usage = 2,
    /// The room code, the role or the MAC address cannot be used.
    Configuration = 3,
    /// The relay's certificate or pin did not match, or could not be read.
    Certificate = 4,
    /// The network interface or TAP adapter cannot be used.
    Interface = 5,
    /// The listening address is taken or does not exist here.
    Bind = 6,
    /// A capability or administrator right is missing.
    Privilege = 7,
    /// The relay's name did not resolve, or nobody answered.
    RelayUnreachable = 8,
    /// Program and relay speak different protocol versions.
    VersionMismatch = 9,
    /// The relay refused the join, or ended the membership for good.
    Rejected = 10,
    /// The state directory cannot be used, or another instance holds it.
    State = 11,
}

impl ExitCode {
    pub const ALL: &'static [Self] = &[
        Self::Success,
        Self::Failure,
        Self::Usage,
        Self::Configuration,
        Self::Certificate,
        Self::Interface,
        Self::Bind,
        Self::Privilege,
        Self::RelayUnreachable,
        Self::VersionMismatch,
        Self::Rejected,
        Self::State,
    ];

    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_that_scripts_rely_on() {
        for (number, code) in ExitCode::ALL.iter().enumerate() {
            assert_eq!(usize::from(code.number()), number, "{code:?}");
        }
    }
}
