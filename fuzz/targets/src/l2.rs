//! Frames from players and from the LAN.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use lanparty_l2::bindings::{Confirmation, IpBindings};
use lanparty_l2::dhcp::{AddressGuard, DhcpRewrite, rewrite_for_player};
use lanparty_l2::policy::Place;
use lanparty_l2::rules::{Ipv6Mode, Rules};
use lanparty_l2::{Context, Direction, check, classify, flow, mss, ra};
use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::{EtherType, MAX_TAGGED_FRAME_LEN};

use crate::{epoch, take_bytes};

/// The registered address of the player in the samples.
pub const PLAYER: MacAddr = MacAddr([0x02, 0x50, 0, 0, 0, 1]);
const OTHER: MacAddr = MacAddr([0x02, 0x50, 0, 0, 0, 2]);

/// A byte of settings, then frames with a length before each: what passes
/// keeps the rules that need no knowledge of protocols to be checked.
pub fn policy(data: &[u8]) {
    let Some((&settings, mut data)) = data.split_first() else {
        return;
    };
    let mut rules = Rules::default();
    if settings & 1 != 0 {
        rules = rules
            .allow_ether_type(EtherType::LOCAL_EXPERIMENTAL)
            .allow_vlan(5);
        rules.ipv6 = Ipv6Mode::Lan;
    }
    if settings & 2 != 0 {
        rules.allow_hosts = vec![IpAddr::V4(Ipv4Addr::new(192, 168, 7, 9))];
    }
    let place = match settings >> 2 & 0b11 {
        0 => Place::Relay,
        1 => Place::Gateway,
        _ => Place::Player,
    };
    let members = [PLAYER, OTHER];
    let mut bindings = IpBindings::new(Confirmation::Probe);
    let mut now = epoch();
    while !data.is_empty() {
        let frame = take_bytes(&mut data);
        now += Duration::from_millis(400);
        bindings.tick(now);
        for direction in [Direction::PlayerToLan, Direction::LanToPlayer] {
            let sender = (direction == Direction::PlayerToLan).then_some(PLAYER);
            let context = Context {
                place,
                rules: &rules,
                sender,
                members: &members,
                bindings: None,
                host: None,
                now,
            };
            let verdict = check(frame, direction, &context);
            if verdict.is_ok() {
                assert!(frame.len() <= MAX_TAGGED_FRAME_LEN);
                assert_ne!(frame[..5], [0x01, 0x80, 0xC2, 0, 0], "link control");
                assert_eq!(frame[6..12] == PLAYER.0, sender.is_some());
            }
            // A table can only refuse more.
            if bindings.police(frame, direction, &context).is_ok() {
                assert!(verdict.is_ok());
            }
        }
        if let Ok(class) = classify(frame) {
            bindings.observe_lan(frame, &class, &members, now);
            assert_eq!(
                flow::flow_tag(frame, &[7; 16]),
                flow::class_tag(&class, &[7; 16])
            );
            std::hint::black_box(flow::hint(&class, frame.len()));
        }
        let mut clamped = frame.to_vec();
        if !mss::clamp(&mut clamped, 1_200, 1_180) {
            assert_eq!(clamped, frame);
        }
    }
    while bindings.poll_effect().is_some() {}
}

/// A frame for a player's TAP: rewriting is complete at once, and of options
/// nothing is left that could route traffic.
pub fn dhcp(data: &[u8]) {
    let guard = AddressGuard {
        keep_outside: vec![IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7))],
        home_router: Some(Ipv4Addr::new(192, 168, 1, 1).into()),
        allow_public: false,
    };
    let mut frame = data.to_vec();
    match rewrite_for_player(&mut frame, PLAYER, &guard) {
        Ok(DhcpRewrite::NotDhcp) => assert_eq!(frame, data),
        Ok(rewritten @ DhcpRewrite::Rewritten(_)) => {
            let mut again = frame.clone();
            assert_eq!(
                rewrite_for_player(&mut again, PLAYER, &guard),
                Ok(rewritten)
            );
            assert_eq!(again, frame);
            for code in option_codes(&frame) {
                assert!(
                    matches!(code, 1 | 28 | 50 | 51 | 53 | 54 | 56 | 58 | 59 | 61),
                    "option {code}"
                );
            }
        }
        Err(_) => {}
    }
    let mut frame = data.to_vec();
    if ra::sanitise(&mut frame, &guard).is_ok() {
        assert_eq!(frame.len(), data.len());
    }
}

/// Walks the options as a careless client would.
fn option_codes(frame: &[u8]) -> Vec<u8> {
    let tagged = frame[12..14] == [0x81, 0x00];
    let ip = if tagged { 18 } else { 14 };
    let options = ip + usize::from(frame[ip] & 0x0F) * 4 + 8 + 240;
    let mut codes = Vec::new();
    let mut rest = &frame[options..];
    while let [code, after @ ..] = rest {
        match (code, after) {
            (0, after) => rest = after,
            (255, _) | (_, []) => break,
            (code, [len, after @ ..]) => {
                codes.push(*code);
                rest = after.get(usize::from(*len)..).unwrap_or_default();
            }
        }
    }
    codes
}
