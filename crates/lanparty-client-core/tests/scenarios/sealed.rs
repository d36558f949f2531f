//! Frames in a room with a key, between whole sessions.

use std::time::Duration;

use lanparty_client_core::{Effect, KeyNews, SessionEvent, Standing};
use lanparty_ctrl::{
    CloseCode, Feature, Message, PeerInfo, PeerLeft, Ping, Role, Sealed, SealedBody,
};
use lanparty_obs::DropReason;
use lanparty_proto::overlay::{FrameCount, Header, Kind};
use lanparty_seal::RoomKey;

use crate::frames::lan_frame;
use crate::harness::{BUDGET, Member, mac, peer, welcome};
use crate::player::{LAN_HOST, mss, syn};

const KEY: u8 = 7;
/// What sealing takes from a datagram.
const SEAL_LEN: usize = 22;

/// A gateway (id 1) and a player (id 2) in a room with a key.
pub(crate) fn pair() -> [Member; 2] {
    let mut room = strangers(KEY);
    converse(&mut room);
    for (at, other) in [(0, 2), (1, 1)] {
        let standing = room[at].session.standing(peer(other));
        assert_eq!(standing, Some(Standing::Verified));
    }
    room
}

/// As above, the player with a key of its own; nothing has been said yet.
fn strangers(key: u8) -> [Member; 2] {
    let mut room = [
        Member::keyed(Role::Gateway, 1, KEY),
        Member::keyed(Role::Client, 2, key),
    ];
    let infos = [0, 1].map(|at| {
        let id = at as u8 + 1;
        let member = &mut room[at];
        member.connect();
        let Message::Welcome(mut welcome) = welcome(id, None) else {
            unreachable!()
        };
        welcome.room_id = member.session.config().room_id();
        welcome.features = vec![Feature::seal()].try_into().unwrap();
        member.relay(&Message::Welcome(welcome));
        let Some(Message::Hello(hello)) = member.sent.first().cloned() else {
            unreachable!()
        };
        PeerInfo {
            peer: peer(id.into()),
            role: hello.role,
            mac: hello.mac,
            name: hello.name,
            key_card: hello.key_card,
        }
    });
    let [gateway, player] = infos;
    room[0].introduce(player);
    room[1].introduce(gateway);
    room
}

/// Passes sealed messages on until nobody has more to say, for a second.
fn converse(room: &mut [Member; 2]) {
    for _ in 0..20 {
        for from in 0..2 {
            for sealed in std::mem::take(&mut room[from].sealed) {
                let to = &mut room[1 - from];
                to.relay(&Message::Sealed(Sealed {
                    peer: Some(peer(from as u16 + 1)),
                    body: sealed.body,
                }));
                to.release();
            }
        }
        for member in room.iter_mut() {
            member.relay(&Message::Pong(Ping { nonce: 0 }));
            member.pass(Duration::from_millis(50));
        }
    }
}

fn kinds(member: &Member) -> Vec<Kind> {
    let decode = |datagram: &bytes::Bytes| Header::decode(datagram).unwrap().0.kind;
    member.datagrams.iter().map(decode).collect()
}

#[test]
fn a_frame_is_sealed_on_its_way_and_the_same_at_its_end() {
    for max_datagram in [1_434, 1_334, 1_162, 96] {
        let [mut gateway, mut player] = pair();
        gateway.datagrams.clear();
        let frame = lan_frame(1_514);
        gateway.send(&frame, max_datagram).unwrap();
        for datagram in std::mem::take(&mut gateway.datagrams) {
            assert!(datagram.len() <= max_datagram);
            for part in frame[14..].chunks_exact(32) {
                assert!(!datagram.windows(32).any(|window| window == part));
            }
            player.receive(&datagram).unwrap();
        }
        assert_eq!(player.frames, [(frame, peer(1))], "{max_datagram}");
    }
}

#[test]
fn a_sealed_frame_that_just_fits_is_one_datagram() {
    let [mut gateway, mut player] = pair();
    gateway.datagrams.clear();
    let frame = lan_frame(BUDGET - 6 - SEAL_LEN);
    gateway.send(&frame, BUDGET).unwrap();
    assert_eq!(kinds(&gateway), [Kind::SealedFrame]);
    assert_eq!(gateway.datagrams[0].len(), BUDGET);
    player.receive(&gateway.datagrams[0]).unwrap();
    gateway.datagrams.clear();
    gateway
        .send(&lan_frame(BUDGET - 5 - SEAL_LEN), BUDGET)
        .unwrap();
    let fragments = [Kind::SealedFragment, Kind::SealedFragment];
    assert_eq!(kinds(&gateway), fragments);
}

#[test]
fn fragments_of_different_seals_do_not_make_a_frame() {
    let [mut gateway, mut player] = pair();
    gateway.datagrams.clear();
    gateway.send(&lan_frame(1_514), BUDGET).unwrap();
    let mut second = gateway.datagrams[1].to_vec();
    second[11] ^= 1;
    player.receive(&gateway.datagrams[0]).unwrap();
    assert_eq!(player.receive(&second), Err(DropReason::FragmentConflict));
}

#[test]
fn a_keyed_session_takes_no_frame_in_clear() {
    let [mut gateway, mut player] = pair();
    let header = |kind| {
        let header = Header {
            kind,
            hint: Default::default(),
            source: peer(1),
            flow_tag: 0,
            frames: FrameCount::ONE,
        };
        header.encode()
    };
    let clear = [&header(Kind::Frame)[..], &lan_frame(100)].concat();
    let piece = [&header(Kind::Fragment)[..], &[0, 1, 0, 0], &lan_frame(100)].concat();
    for datagram in [clear, piece] {
        let refused = Err(DropReason::ClearInSealedRoom);
        assert_eq!(player.receive(&datagram), refused);
    }
    gateway.datagrams.clear();
    gateway.send(&lan_frame(1_514), BUDGET).unwrap();
    gateway.send(&lan_frame(60), BUDGET).unwrap();
    let clear = [Kind::Frame, Kind::Fragment];
    assert!(kinds(&gateway).iter().all(|kind| !clear.contains(kind)));
}

#[test]
fn a_member_sends_sealed_before_anybody_has_its_key() {
    let [mut gateway, mut player] = strangers(KEY);
    gateway.datagrams.clear();
    gateway.send(&lan_frame(100), BUDGET).unwrap();
    gateway.send_all(&vec![lan_frame(101); 3], BUDGET).unwrap();
    assert_eq!(kinds(&gateway), [Kind::SealedFrame; 2]);
    // The frames wait and come out with their key.
    for early in gateway.datagrams.clone() {
        player.receive(&early).unwrap();
    }
    assert_eq!(player.frames, []);
    let mut room = [gateway, player];
    converse(&mut room);
    let lengths = room[1].frames.iter().map(|(frame, _)| frame.len());
    assert_eq!(lengths.collect::<Vec<_>>(), [100, 101, 101, 101]);
}

#[test]
fn a6_a_datagram_that_comes_twice_is_dropped_and_counted() {
    let [mut gateway, mut player] = pair();
    gateway.datagrams.clear();
    gateway.send(&lan_frame(100), BUDGET).unwrap();
    let datagram = gateway.datagrams[0].clone();
    player.receive(&datagram).unwrap();
    assert_eq!(player.receive(&datagram), Err(DropReason::SealReplayed));
    let mut forged = datagram.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    forged[11] ^= 0x40;
    assert_eq!(player.receive(&forged), Err(DropReason::SealForged));
    let drops = player.session.drops();
    assert_eq!(drops.get(DropReason::SealReplayed), 1);
    assert_eq!(drops.get(DropReason::SealForged), 1);
    assert_eq!(player.frames.len(), 1);
}

#[test]
fn a5_a_member_without_the_room_key_is_named_and_left_out() {
    let mut room = strangers(9);
    room[0].datagrams.clear();
    for _ in 0..7 {
        converse(&mut room);
    }
    let [mut gateway, mut player] = room;
    let standing = gateway.session.standing(peer(2));
    assert_eq!(standing, Some(Standing::Unverified));
    let is_named = |event: &SessionEvent| matches!(event, SessionEvent::Keys(KeyNews::Unverified(info)) if info.peer == peer(2));
    assert!(gateway.events.iter().any(is_named));
    gateway.datagrams.clear();
    gateway.send(&lan_frame(100), BUDGET).unwrap();
    let sealed = gateway.datagrams[0].clone();
    assert_eq!(player.receive(&sealed), Err(DropReason::NoKey));
}

#[test]
fn whoever_was_removed_reads_no_frame_that_follows() {
    let [mut gateway, mut player] = pair();
    gateway.relay(&Message::PeerLeft(PeerLeft {
        peer: peer(2),
        reason: CloseCode::Removed,
    }));
    gateway.datagrams.clear();
    gateway.send(&lan_frame(100), BUDGET).unwrap();
    player.receive(&gateway.datagrams[0].clone()).unwrap();
    player.pass(Duration::from_secs(2));
    assert_eq!(player.frames, []);
    assert_eq!(player.session.drops().get(DropReason::NoKey), 1);
}

#[test]
fn tcp_asks_for_segments_that_fit_a_sealed_datagram() {
    let [mut gateway, mut player] = pair();
    gateway.datagrams.clear();
    let syn = syn(mac(2), LAN_HOST, [[10, 0, 0, 1], [10, 0, 0, 2]]);
    gateway.send(&syn, BUDGET).unwrap();
    player.receive(&gateway.datagrams[0].clone()).unwrap();
    let (frame, _) = &player.frames[0];
    let segment = usize::from(mss(frame));
    assert_eq!(segment, BUDGET - 6 - SEAL_LEN - 14 - 40);
}

#[test]
fn the_hosts_next_key_reaches_the_player() {
    let mut room = pair();
    let next = RoomKey::from_bytes([8; 32]);
    let now = room[0].now;
    room[0].session.announce_next_key(&next, now);
    converse(&mut room);
    let told = SessionEvent::Keys(KeyNews::RoomKeyRotated(next));
    assert!(room[1].events.contains(&told));
}

#[test]
fn what_the_relay_makes_up_ends_no_session() {
    let [_, mut player] = pair();
    for body in [vec![0], vec![2; 157], vec![4; 4_096]] {
        player.relay(&Message::Sealed(Sealed {
            peer: Some(peer(1)),
            body: SealedBody::try_from(body).unwrap(),
        }));
    }
    assert!(player.session.is_joined());
    assert!(!matches!(
        player.session.poll_effect(),
        Some(Effect::Close { .. })
    ));
}
