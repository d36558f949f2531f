//! What a session asks of its driver and tells its program.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use lanparty_ctrl::{Asking, CloseCode, Mode, PeerInfo, RoomId, RoomPolicy, VersionMismatch};
use lanparty_l2::dhcp::{Lease, UnsafeAddress};
use lanparty_obs::ExitCode;
use lanparty_proto::PeerId;
use lanparty_queue::FlowKey;
use lanparty_seal::RoomKey;

use crate::player::DhcpNews;

/// Popped from [`Session::poll_effect`](crate::Session::poll_effect) after
/// each input, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Open a connection to the relay. Any earlier one is over; nothing that
    /// it still reports may be fed to the session.
    Dial,
    /// Append bytes to the control stream.
    SendControl(Bytes),
    SendDatagram {
        key: FlowKey,
        bytes: Bytes,
    },
    /// Close the connection after what was sent on it.
    Close {
        code: CloseCode,
        message: String,
    },
    Event(SessionEvent),
}

/// Something that a person or the program's other half wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    Joined(Box<Membership>),
    PeerJoined(Box<PeerInfo>),
    PeerLeft {
        peer: Box<PeerInfo>,
        reason: CloseCode,
    },
    GatewayPresent(PeerId),
    GatewayGone,
    PolicyChanged(Box<RoomPolicy>),
    /// The host has to let this member in first. Told once; the session keeps
    /// asking by itself.
    AwaitingApproval,
    /// Somebody with the room key waits for the host's word; a gateway answers
    /// with [`Session::set_access`](crate::Session::set_access).
    Asking(Box<Asking>),
    /// The connection is gone, or never came about.
    Lost {
        cause: LostCause,
        was_joined: bool,
    },
    /// The next dial is that far away; `attempt` counts from 1.
    Retrying {
        after: Duration,
        attempt: u32,
    },
    /// The relay announced that it goes away and when it expects to be back.
    RelayRestarting {
        back_in: Duration,
    },
    /// The party's DHCP server answered this player.
    Lease(Lease),
    /// The party's DHCP server offered an address that would disturb the
    /// player's own network, so the answer was dropped.
    AddressRefused(UnsafeAddress),
    /// What the room's keys show about its members.
    Keys(KeyNews),
    /// The session is over for good.
    Ended(End),
}

/// What the keys of a room show about its members; each has a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyNews {
    /// The member did not prove that it holds the room key.
    Unverified(Box<PeerInfo>),
    /// It did after all.
    Verified(Box<PeerInfo>),
    /// The host removed it, and the relay lists it all the same.
    Removed(Box<PeerInfo>),
    /// It sees another room than we do.
    Split(Box<PeerInfo>),
    SplitEnded(Box<PeerInfo>),
    /// The host has made a new room key, which takes this one's place.
    RoomKeyRotated(RoomKey),
}

impl std::fmt::Display for KeyNews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unverified(peer) => write!(
                f,
                "{} is in the room and has not proven that it holds the room key: it gets nothing \
                 that you send, and nothing it sends reaches you. If this is a friend, compare \
                 invites; if nobody knows it, the relay may have made it up.",
                peer.name
            ),
            Self::Verified(peer) => {
                write!(f, "{} has proven that it holds the room key.", peer.name)
            }
            Self::Removed(peer) => write!(
                f,
                "{} was removed by the host, and the relay lists it all the same: it gets nothing \
                 that you send.",
                peer.name
            ),
            Self::Split(peer) => write!(
                f,
                "{} sees other members in this room than you do, or missed a decision of the host. \
                 If this stays, the relay is splitting the room: use another relay.",
                peer.name
            ),
            Self::SplitEnded(peer) => write!(f, "{} sees the same room as you again.", peer.name),
            Self::RoomKeyRotated(_) => f.write_str(
                "The host has made a new key for this room, and this computer moves along. Your \
                 invite is no longer valid: ask for the new one before you come again.",
            ),
        }
    }
}

/// What Welcome said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    pub peer_id: PeerId,
    pub room_id: RoomId,
    pub mode: Mode,
    pub tap_mtu: u16,
    pub gateway: Option<PeerId>,
    pub observed_address: SocketAddr,
    pub policy: RoomPolicy,
    /// True where the member was joined before under the same peer id.
    pub resumed: bool,
}

/// Why a connection ended, as the driver saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DisconnectCause {
    /// The relay closed it with an application code.
    Application { code: u64, message: String },
    /// The relay's certificate is not the expected one; a sentence with the
    /// remedy.
    Certificate { reason: String },
    /// The relay speaks no common protocol (ALPN or QUIC version).
    VersionMismatch,
    /// Nobody answered the first packets.
    NoAnswer,
    /// Nothing was heard for too long.
    TimedOut,
    /// The relay has no memory of the connection: it was restarted.
    Reset,
    /// Anything else, in the driver's words.
    Other { reason: String },
}

/// Why a session that will be tried again has no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LostCause {
    NoAnswer,
    Silence,
    Restarted,
    Refused { code: CloseCode, message: String },
    Other { reason: String },
}

/// How a session ended for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The program left.
    Left,
    /// The relay refused the join or ended the membership.
    Rejected {
        code: CloseCode,
        message: String,
    },
    Certificate {
        reason: String,
    },
    Version(Option<VersionMismatch>),
    /// The relay broke the protocol.
    Protocol {
        reason: String,
    },
}

impl From<DhcpNews> for SessionEvent {
    fn from(news: DhcpNews) -> Self {
        match news {
            DhcpNews::Lease(lease) => Self::Lease(lease),
            DhcpNews::Refused(address) => Self::AddressRefused(address),
        }
    }
}

impl LostCause {
    pub(crate) const fn is_approval_pending(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: CloseCode::ApprovalPending,
                ..
            }
        )
    }
}

impl std::fmt::Display for LostCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoAnswer => f.write_str("the relay does not answer"),
            Self::Silence => f.write_str("nothing was heard from the relay"),
            Self::Restarted => f.write_str("the relay was restarted"),
            Self::Refused { code, message } if message.is_empty() => f.write_str(code.sentence()),
            Self::Refused { message, .. } => f.write_str(message),
            Self::Other { reason } => f.write_str(reason),
        }
    }
}

impl End {
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Left => ExitCode::Success,
            Self::Rejected { code, .. } => code.exit_code(),
            Self::Certificate { .. } => ExitCode::Certificate,
            Self::Version(_) => ExitCode::VersionMismatch,
            Self::Protocol { .. } => ExitCode::Failure,
        }
    }
}

/// What happened and what to do about it.
impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Left => f.write_str("left the room"),
            Self::Rejected { code, message } => {
                f.write_str(code.sentence())?;
                if message.is_empty() || code.sentence().contains(message.as_str()) {
                    return Ok(());
                }
                write!(f, " (The relay says: {message})")
            }
            Self::Certificate { reason } => f.write_str(reason),
            Self::Version(Some(mismatch)) => write!(f, "{mismatch}"),
            Self::Version(None) => f.write_str(CloseCode::VersionMismatch.sentence()),
            Self::Protocol { reason } => write!(
                f,
                "The relay sent something that this program does not understand ({reason}). \
                 Upgrade the program or the relay, or use another relay."
            ),
        }
    }
}
