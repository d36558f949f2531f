//! The flags themselves.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use lanparty_ctrl::{DisplayName, Role, RoomCode, hex};
use lanparty_net::{Invite, RelayEndpoint};
use lanparty_seal::RoomKey;
use lanparty_transport::reactor::BusyPoll;
use lanparty_transport::{Congestion, Identity, ServerTrust};
use zeroize::Zeroizing;

use crate::entry::{Entry, Place};
use crate::error::MemberArgsError;
use crate::secret::Secret;

/// More than an invite or a key has; another file was named by mistake.
const MAX_SECRET_FILE: u64 = 4096;

/// How a member finds its room, and its name there.
#[derive(Clone, Debug)]
pub struct MemberArgs {
    flags: Flags,
    /// Whether the invite's text stood on the command line.
    in_sight: bool,
}

#[derive(Clone, Debug, Args)]
struct Flags {
    /// The host's invite, which says all that is needed. Other users of this
    /// computer can see it here; the other ways to give it are hidden.
    #[arg(value_name = "INVITE")]
    pasted: Option<Secret>,
    /// The host's invite.
    #[arg(
        long,
        value_name = "INVITE",
        env = "LANPARTY_INVITE",
        hide_env_values = true
    )]
    invite: Option<Secret>,
    /// The file with the host's invite; - is standard input.
    #[arg(long, value_name = "FILE", env = "LANPARTY_INVITE_FILE")]
    invite_file: Option<PathBuf>,
    /// Ask for the host's invite, without showing what is typed.
    #[arg(long)]
    ask_invite: bool,
    /// The relay: a name or an address, with :PORT where it is not 443.
    #[arg(long, value_name = "HOST[:PORT]", env = "LANPARTY_RELAY")]
    relay: Option<RelayEndpoint>,
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
    room: Option<String>,
    /// The file with the room's key, 64 hexadecimal digits. Without one the
    /// room is open.
    #[arg(long, value_name = "FILE", env = "LANPARTY_ROOM_KEY_FILE")]
    room_key_file: Option<PathBuf>,
    /// What the others in the room see. Default: this computer's name.
    #[arg(long, value_name = "NAME", env = "LANPARTY_NAME")]
    name: Option<String>,
    /// How long to look for traffic before sleeping: less latency for more of
    /// a processor. MICROSECONDS is up to 100000.
    #[arg(
        long,
        value_name = "auto|off|MICROSECONDS",
        default_value_t,
        env = "LANPARTY_BUSY_POLL"
    )]
    busy_poll: BusyPoll,
    /// How to share the line with others: delay keeps the queue before a slow
    /// line short; cubic and bbr fill it, and are for comparison.
    #[arg(
        long,
        value_name = "delay|cubic|bbr",
        default_value_t,
        env = "LANPARTY_CONGESTION"
    )]
    congestion: Congestion,
}

/// The ways to give an invite.
const INVITED: [&str; 4] = ["pasted", "invite", "invite_file", "ask_invite"];
/// What an invite says, each as the argument's name and the flag.
const SPELT_OUT: [(&str, &str); 6] = [
    ("relay", "--relay"),
    ("server_name", "--server-name"),
    ("relay_ca_cert", "--relay-ca-cert"),
    ("relay_pin", "--relay-pin"),
    ("room", "--room"),
    ("room_key_file", "--room-key-file"),
];

impl MemberArgs {
    /// What the flags or the invite say. May ask the user for the invite, so
    /// it is for calling once.
    ///
    /// # Errors
    /// When a file cannot be read, or what was given cannot be used.
    pub fn place(&self) -> Result<Place, MemberArgsError> {
        let flags = &self.flags;
        if let Some(text) = self.invite_text()? {
            return Place::of_invite(&text.text().parse()?);
        }
        let relay = flags.relay.clone().ok_or(MemberArgsError::NoRoom)?;
        let room: Option<RoomCode> = match &flags.room {
            Some(code) => Some(code.parse()?),
            None => None,
        };
        Ok(Place {
            server_name: flags
                .server_name
                .clone()
                .unwrap_or_else(|| relay.server_name()),
            trust: self.trust()?,
            relay,
            room,
            key: flags.room_key_file.as_deref().map(read_key).transpose()?,
            certificate: flags.relay_ca_cert.clone(),
        })
    }

    /// What the flags or the invite say, where they must name a room. May ask
    /// the user for the invite, so it is for calling once.
    ///
    /// # Errors
    /// When no room is named, a file cannot be read, or what was given cannot
    /// be used.
    pub fn entry(&self) -> Result<Entry, MemberArgsError> {
        self.place()?.entry()
    }

    /// What the user should know about how the invite was given: a sentence
    /// for standard error. Too late to hide anything, but the key may matter
    /// again tomorrow.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        let invites = [&self.flags.pasted, &self.flags.invite];
        let with_key = invites
            .into_iter()
            .flatten()
            .filter_map(|invite| invite.text().parse::<Invite>().ok())
            .any(|invite| invite.key().is_some());
        (self.in_sight && with_key).then_some(
            "the invite stands on the command line, where other users of this computer can read it while this program runs, \
             and where the shell's history keeps it. --ask-invite, --invite-file and the variable LANPARTY_INVITE hide it from them.",
        )
    }

    /// For [`lanparty_transport::reactor::Reactor::set_busy_poll`].
    #[must_use]
    pub const fn busy_poll(&self) -> BusyPoll {
        self.flags.busy_poll
    }

    /// For [`lanparty_transport::TransportLimits`].
    #[must_use]
    pub const fn congestion(&self) -> Congestion {
        self.flags.congestion
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
        if let Some(name) = &self.flags.name {
            return parse(name);
        }
        let host = gethostname::gethostname();
        Ok(DisplayName::lossy(
            &host.to_string_lossy(),
            &parse(role.word())?,
        ))
    }

    fn invite_text(&self) -> Result<Option<Secret>, MemberArgsError> {
        let flags = &self.flags;
        if let Some(text) = flags.pasted.as_ref().or(flags.invite.as_ref()) {
            return Ok(Some(text.clone()));
        }
        if let Some(path) = &flags.invite_file {
            let text = read_secret(path).map_err(|reason| MemberArgsError::InviteFile {
                path: path.clone(),
                reason,
            })?;
            return Ok(Some(text));
        }
        if flags.ask_invite {
            let text = rpassword::prompt_password("Invite (not shown): ");
            return Ok(Some(Secret::new(text.map_err(MemberArgsError::Prompt)?)));
        }
        Ok(None)
    }

    /// Whom to take for the relay, by the flags.
    fn trust(&self) -> Result<ServerTrust, MemberArgsError> {
        if let Some(path) = &self.flags.relay_ca_cert {
            let der = fs::read(path).map_err(|reason| MemberArgsError::Certificate {
                path: path.clone(),
                reason,
            })?;
            return Ok(ServerTrust::certificate(der));
        }
        if self.flags.relay_pin.is_empty() {
            return Ok(ServerTrust::SystemRoots);
        }
        Ok(ServerTrust::Pin(self.flags.relay_pin.clone()))
    }
}

impl Args for MemberArgs {
    fn augment_args(command: Command) -> Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args_for_update(command)
    }
}

/// An invite replaces the flags that say the same, and the command line the
/// environment, of which clap's own conflicts know nothing.
impl FromArgMatches for MemberArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let source = |name: &str| matches.value_source(name);
        let typed = |name: &str| source(name) == Some(ValueSource::CommandLine);
        let set = |name: &str| source(name) == Some(ValueSource::EnvVariable);
        let in_sight = typed("pasted") || typed("invite");
        let mut flags = Flags::from_arg_matches(matches)?;

        if let Some(text) = &flags.pasted
            && !text.text().contains(['/', '#'])
        {
            // Said without repeating it: it may be a part of an invite.
            return Err(clap::Error::raw(
                ErrorKind::InvalidSubcommand,
                "there is no such command, and an invite begins with lanparty://\n",
            ));
        }

        let conflict = |message: String| clap::Error::raw(ErrorKind::ArgumentConflict, message);
        let typed_invites = INVITED.into_iter().filter(|name| typed(name)).count();
        let typed_flag = SPELT_OUT.into_iter().find(|(name, _)| typed(name));
        let (invited, spelt_out) = if typed_invites > 0 {
            (true, typed_flag)
        } else if typed_flag.is_some() {
            (false, None)
        } else {
            let invited = INVITED.into_iter().any(set);
            (invited, SPELT_OUT.into_iter().find(|(name, _)| set(name)))
        };
        if let (true, Some((_, flag))) = (invited, spelt_out) {
            return Err(conflict(format!(
                "the invite says what {flag} says; leave one of them out\n"
            )));
        }
        if typed_invites > 1 || (typed_invites == 0 && set("invite") && set("invite_file")) {
            return Err(conflict("more than one invite was given\n".to_owned()));
        }
        if invited {
            flags.leave_out_environment(typed_invites > 0, &typed);
        } else {
            flags = Flags {
                pasted: None,
                invite: None,
                invite_file: None,
                ask_invite: false,
                ..flags
            };
            if flags.relay.is_none() {
                return Err(clap::Error::raw(
                    ErrorKind::MissingRequiredArgument,
                    "where to? Paste the host's invite, or give --relay and --room\n",
                ));
            }
        }
        Ok(Self { flags, in_sight })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Flags {
    /// An invite was given: what the environment says of the same things does
    /// not count, nor its invite beside one that was typed.
    fn leave_out_environment(&mut self, typed_invite: bool, typed: &impl Fn(&str) -> bool) {
        if typed_invite && !typed("invite") {
            self.invite = None;
        }
        if typed_invite && !typed("invite_file") {
            self.invite_file = None;
        }
        self.relay = None;
        self.server_name = None;
        self.relay_ca_cert = None;
        self.relay_pin.clear();
        self.room = None;
        self.room_key_file = None;
    }
}

fn read_key(path: &Path) -> Result<RoomKey, MemberArgsError> {
    let wrong = |reason| MemberArgsError::RoomKey {
        path: path.to_owned(),
        reason,
    };
    let text = read_secret(path).map_err(wrong)?;
    hex::decode_array(text.text())
        .map(RoomKey::from_bytes)
        .ok_or_else(|| wrong(io::ErrorKind::InvalidData.into()))
}

fn read_secret(path: &Path) -> io::Result<Secret> {
    let mut text = Zeroizing::new(String::new());
    let read = |input: &mut dyn io::Read, text: &mut String| {
        input.take(MAX_SECRET_FILE).read_to_string(text)
    };
    if path == Path::new("-") {
        read(&mut io::stdin().lock(), &mut text)?;
    } else {
        read(&mut File::open(path)?, &mut text)?;
    }
    Ok(Secret::new(std::mem::take(&mut text)))
}

fn pin(text: &str) -> Result<Identity, String> {
    hex::decode_array(text)
        .map(Identity)
        .ok_or_else(|| "a pin is 64 hexadecimal digits".to_owned())
}

#[cfg(test)]
mod tests;
