//! One record for each decision about a frame, for whoever turned the target on.

use lanparty_obs::DropReason;
use lanparty_obs::frame_log::{Action, RelayFrameRecord};
use lanparty_proto::PeerId;
use lanparty_proto::ethernet::EthernetHeader;
use lanparty_proto::fragment::Fragment;
use lanparty_proto::overlay::{self, Header, Kind};
use tracing::Level;

use crate::decision::Verdict;
use crate::room::Room;

const TARGET: &str = "relay::frames";

pub(crate) fn trace(
    room: &Room,
    sender: PeerId,
    datagram: &[u8],
    verdict: &Result<Verdict, DropReason>,
    targets: usize,
) {
    if !tracing::enabled!(target: TARGET, Level::TRACE) {
        return;
    }
    let (kind, header) = look(datagram);
    if kind == Some(Kind::Probe) {
        return;
    }
    let action = match verdict {
        Ok(_) => Action::Forward {
            targets: u16::try_from(targets).unwrap_or(u16::MAX),
        },
        Err(reason) => Action::Drop(*reason),
    };
    let record = RelayFrameRecord {
        room: room.id.0,
        peer: sender,
        header,
        action,
    };
    tracing::trace!(target: TARGET, "{record}");
}

/// The decision does not keep what it read, so it is read again.
fn look(datagram: &[u8]) -> (Option<Kind>, Option<EthernetHeader>) {
    let Ok((header, body)) = Header::decode(datagram) else {
        return (None, None);
    };
    let ethernet = match header.kind {
        Kind::Frame => EthernetHeader::parse(body).ok(),
        Kind::Fragment => Fragment::parse(body)
            .ok()
            .and_then(|fragment| EthernetHeader::parse(fragment.ethernet).ok()),
        Kind::SealedFrame => body
            .get(overlay::SEALED_LEN..)
            .and_then(|frame| EthernetHeader::parse(frame).ok()),
        Kind::SealedFragment => body
            .get(overlay::SEALED_LEN..)
            .and_then(|piece| Fragment::parse(piece).ok())
            .and_then(|fragment| EthernetHeader::parse(fragment.ethernet).ok()),
        Kind::Probe => None,
    };
    (Some(header.kind), ethernet.map(|(ethernet, _)| ethernet))
}
