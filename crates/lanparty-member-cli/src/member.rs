//! The flags themselves.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;
use lanparty_ctrl::room::RoomCodeError;
use lanparty_ctrl::{DisplayName, Role, RoomCode, hex};
use lanparty_net::RelayEndpoint;
use lanparty_obs::ExitCode;
use lanparty_transport::{Identity, ServerTrust, TlsSetupError};

#[derive(Clone, Debug, Args)]
pub struct MemberArgs {
    /// The relay: a name or an address, with :PORT where it is not 443.
    #[arg(long, value_name = "HOST[:PORT]", env = "LANPARTY_RELAY")]
    pub relay: RelayEndpoint,
    /// The name in the relay's certificate, where it is not that of --relay.
    #[arg(long, value_name = "NAME", env = "LANPARTY_SERVER_NAME")]
    server_name: Option<String>,
    /// Trust this certificate, or the authority that it belongs to, and no other.
    #[arg(long, value_name = "FILE.der", env = "LANPARTY_RELAY_CA_CERT")]
    relay_ca_cert: Option<PathBuf>,
    /// Trust the relay with this SHA-256 of its public key (64 hexadecimal
    /// digits), whatever its certificate says. May be repeated.
    #[arg(
        long,
        value_name = "SHA256",
        env = "LANPARTY_RELAY_PIN",
        value_delimiter = ',',
        value_parser = pin,
        conflicts_with = "relay_ca_cert"
    )]
    relay_pin: Vec<Identity>,
    /// The room's code: up to 32 of A-Z a-z 0-9 - _
    #[arg(long, value_name = "CODE", env = "LANPARTY_ROOM")]
    room: String,
    /// What the others in the room see. Default: this computer's name.
    #[arg(long, value_name = "NAME", env = "LANPARTY_NAME")]
    name: Option<String>,
}

/// Flags that were understood but cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MemberArgsError {
    #[error("--room cannot be used: {0}")]
    Room(#[from] RoomCodeError),
    #[error("--name {name:?} cannot be shown to others: {reason}")]
    Name { name: String, reason: String },
    #[error(
        "{} holds no certificate: {reason}; take the file that the relay wrote with --dev-cert-der-out, and check --relay-ca-cert",
        path.display()
    )]
    Certificate { path: PathBuf, reason: io::Error },
    #[error(
        "no relay can be trusted: {0}; name its certificate with --relay-ca-cert or its key with --relay-pin"
    )]
    Trust(TlsSetupError),
}

impl MemberArgsError {
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Room(_) | Self::Name { .. } => ExitCode::Configuration,
            Self::Certificate { .. } | Self::Trust(_) => ExitCode::Certificate,
        }
    }
}

impl MemberArgs {
    /// The name that the relay's certificate must have.
    #[must_use]
    pub fn server_name(&self) -> String {
        let chosen = self.server_name.clone();
        chosen.unwrap_or_else(|| self.relay.server_name())
    }

    /// # Errors
    /// When this is no room's code.
    pub fn room(&self) -> Result<RoomCode, MemberArgsError> {
        Ok(self.room.parse()?)
    }

    /// The chosen name must be right; the computer's own is only a default,
    /// and the word for the role where that cannot be shown.
    ///
    /// # Errors
    /// When the chosen name cannot be shown.
    pub fn name(&self, role: Role) -> Result<DisplayName, MemberArgsError> {
        let parse = |name: &str| {
            name.parse().map_err(|error| MemberArgsError::Name {
                name: name.to_owned(),
                reason: format!("{error}"),
            })
        };
        if let Some(name) = &self.name {
            return parse(name);
        }
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Ok(DisplayName::lossy(host.trim_end(), &parse(role.word())?))
    }

    /// Whom to take for the relay.
    ///
    /// # Errors
    /// When the certificate's file cannot be read.
    pub fn trust(&self) -> Result<ServerTrust, MemberArgsError> {
        if let Some(path) = &self.relay_ca_cert {
            let der = fs::read(path).map_err(|reason| MemberArgsError::Certificate {
                path: path.clone(),
                reason,
            })?;
            return Ok(ServerTrust::certificate(der));
        }
        if self.relay_pin.is_empty() {
            return Ok(ServerTrust::SystemRoots);
        }
        Ok(ServerTrust::Pin(self.relay_pin.clone()))
    }

    /// What to say when the transport cannot use that trust.
    #[must_use]
    pub fn unusable_trust(&self, error: TlsSetupError) -> MemberArgsError {
        match &self.relay_ca_cert {
            Some(path) => MemberArgsError::Certificate {
                path: path.clone(),
                reason: io::Error::other(error.to_string()),
            },
            None => MemberArgsError::Trust(error),
        }
    }
}

fn pin(text: &str) -> Result<Identity, String> {
    hex::decode_array(text)
        .map(Identity)
        .ok_or_else(|| "a pin is 64 hexadecimal digits".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        member: MemberArgs,
    }

    fn parse(extra: &[&str]) -> Result<MemberArgs, clap::Error> {
        let base = ["program", "--relay", "relay.example", "--room", "ROOM1"];
        Line::try_parse_from(base.iter().chain(extra)).map(|line| line.member)
    }

    #[test]
    fn trust_comes_from_the_file_the_pins_or_the_system() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("relay.der");
        fs::write(&file, "DER").unwrap();
        let trust = |extra: &[&str]| parse(extra).unwrap().trust();
        assert!(matches!(trust(&[]), Ok(ServerTrust::SystemRoots)));
        let (one, two) = ("ab".repeat(32), "cd".repeat(32));
        let pins = trust(&["--relay-pin", &one, "--relay-pin", &two]).unwrap();
        assert!(
            matches!(&pins, ServerTrust::Pin(pins) if pins[..] == [Identity([0xAB; 32]), Identity([0xCD; 32])]),
            "{pins:?}"
        );
        let path = file.to_str().unwrap();
        assert!(!matches!(
            trust(&["--relay-ca-cert", path]),
            Err(_) | Ok(ServerTrust::SystemRoots | ServerTrust::Pin(_))
        ));
        let error = trust(&["--relay-ca-cert", "/nosuch.der"]).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Certificate);
        assert!(error.to_string().contains("/nosuch.der"), "{error}");
    }

    #[test]
    fn a_wrong_pin_and_two_kinds_of_trust_are_refused_at_once() {
        assert!(parse(&["--relay-pin", "00"]).is_err());
        let pin = "ab".repeat(32);
        assert!(parse(&["--relay-pin", &pin, "--relay-ca-cert", "a.der"]).is_err());
    }

    #[test]
    fn a_chosen_name_is_checked_and_the_default_always_works() {
        assert_eq!(parse(&[]).unwrap().server_name(), "relay.example");
        assert!(parse(&[]).unwrap().name(Role::Client).is_ok());
        let error = parse(&["--name", "a\nb"]).unwrap().name(Role::Client);
        assert_eq!(error.unwrap_err().exit_code(), ExitCode::Configuration);
    }
}
