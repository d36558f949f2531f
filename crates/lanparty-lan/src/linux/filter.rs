//! The classic BPF program that keeps the rest of the LAN's traffic from
//! waking us.
//!
//! It lets through broadcast and multicast, unicast for the players who are
//! present, and all ARP: whether an address is free is asked in the gateway's
//! own name, so the answers are for the gateway computer. What carries our own
//! mark (see [`super::host_path`]) it drops.

use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::{ADDRESSES_LEN, EtherType};
use libc::sock_filter;

/// Longer than any packet (BIG TCP ends at 512 KiB), so that nothing is cut.
const ACCEPT: u32 = 1 << 20;
const DROP: u32 = 0;

/// Above this the program would outgrow `BPF_MAXINSNS` (4,096), and older
/// kernels' `net.core.optmem_max` (20 KiB) long before.
const MAX_LISTED: usize = 256;

const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

/// `SKF_AD_OFF + SKF_AD_MARK`: not a byte of the frame but the packet's mark.
const MARK: u32 = 0xFFFF_F000 + 20;

const ETHER_TYPE_AT: u32 = ADDRESSES_LEN as u32;

const GROUP_BIT: u32 = 0x01;
const LOCALLY_ADMINISTERED_BIT: u32 = 0x02;

/// Whose unicast frames are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unicast<'a> {
    For(&'a [MacAddr]),
    /// For any locally administered address, as all players have: the coarse
    /// filter where the list would be too long.
    ForAnyPlayer,
}

impl<'a> Unicast<'a> {
    pub(super) fn for_members(members: &'a [MacAddr]) -> Self {
        if members.len() <= MAX_LISTED {
            Self::For(members)
        } else {
            Self::ForAnyPlayer
        }
    }
}

/// The program for frames that begin with their Ethernet header.
pub(super) fn program(unicast: Unicast<'_>, own_mark: Option<u32>) -> Vec<sock_filter> {
    let mut code = Vec::new();
    if let Some(mark) = own_mark {
        code.extend([
            step(LOAD_WORD, MARK),
            unless(JUMP_IF_EQUAL, mark, 1),
            step(RETURN, DROP),
        ]);
    }
    code.extend([
        step(LOAD_BYTE, 0),
        unless(JUMP_IF_ANY_BIT, GROUP_BIT, 1),
        step(RETURN, ACCEPT),
        step(LOAD_HALF, ETHER_TYPE_AT),
        unless(JUMP_IF_EQUAL, EtherType::ARP.0 as u32, 1),
        step(RETURN, ACCEPT),
    ]);
    match unicast {
        Unicast::ForAnyPlayer => code.extend([
            step(LOAD_BYTE, 0),
            unless(JUMP_IF_ANY_BIT, LOCALLY_ADMINISTERED_BIT, 1),
            step(RETURN, ACCEPT),
        ]),
        Unicast::For(members) => {
            // The last four bytes first: they differ more often.
            code.push(step(LOAD_WORD, 2));
            for member in members {
                let [a, b, c, d, e, f] = member.octets();
                code.extend([
                    unless(JUMP_IF_EQUAL, u32::from_be_bytes([c, d, e, f]), 4),
                    step(LOAD_HALF, 0),
                    unless(JUMP_IF_EQUAL, u32::from_be_bytes([0, 0, a, b]), 1),
                    step(RETURN, ACCEPT),
                    step(LOAD_WORD, 2),
                ]);
            }
        }
    }
    code.push(step(RETURN, DROP));
    code
}

const fn step(code: u16, k: u32) -> sock_filter {
    sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

/// Goes on with the next step if the test holds, else skips `skip` steps.
const fn unless(code: u16, k: u32, skip: u8) -> sock_filter {
    sock_filter {
        code,
        jt: 0,
        jf: skip,
        k,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the kernel does with the steps used above.
    fn accepts(code: &[sock_filter], frame: &[u8], mark: u32) -> bool {
        let mut accumulator = 0;
        let mut at = 0;
        loop {
            let step = code[at];
            at += 1;
            let load = |len: usize| {
                let bytes = frame.get(step.k as usize..)?.get(..len)?;
                Some(
                    bytes
                        .iter()
                        .fold(0, |sum, byte| sum << 8 | u32::from(*byte)),
                )
            };
            let loaded = match step.code {
                LOAD_WORD if step.k == MARK => Some(mark),
                LOAD_WORD => load(4),
                LOAD_HALF => load(2),
                LOAD_BYTE => load(1),
                JUMP_IF_EQUAL | JUMP_IF_ANY_BIT => {
                    let holds = if step.code == JUMP_IF_EQUAL {
                        accumulator == step.k
                    } else {
                        accumulator & step.k != 0
                    };
                    at += usize::from(if holds { step.jt } else { step.jf });
                    Some(accumulator)
                }
                RETURN => return step.k != 0,
                code => panic!("unknown step {code:#x}"),
            };
            match loaded {
                Some(value) => accumulator = value,
                None => return false,
            }
        }
    }

    fn frame(destination: [u8; 6]) -> Vec<u8> {
        let mut frame = destination.to_vec();
        frame.resize(60, 0);
        frame
    }

    proptest! {
        #[test]
        fn exactly_the_groups_the_listed_members_and_arp_pass(
            members in prop::collection::vec(prop::array::uniform6(any::<u8>()), 0..MAX_LISTED),
            other: [u8; 6],
            near in any::<(prop::sample::Index, prop::sample::Index, u8)>(),
        ) {
            let listed: Vec<MacAddr> = members.iter().copied().map(MacAddr).collect();
            let code = program(Unicast::for_members(&listed), Some(7));
            prop_assert!(code.len() <= 4096);
            let mut almost = members.get(near.0.index(members.len().max(1))).copied().unwrap_or(other);
            almost[near.1.index(6)] = near.2;
            for destination in members.iter().copied().chain([other, almost, [0xFF; 6]]) {
                let wanted = destination[0] & 1 != 0 || members.contains(&destination);
                prop_assert_eq!(accepts(&code, &frame(destination), 0), wanted);
                prop_assert!(!accepts(&code, &frame(destination), 7), "our own mark passes");
                let mut arp = frame(destination);
                arp[12..14].copy_from_slice(&[0x08, 0x06]);
                prop_assert!(accepts(&code, &arp, 0));
                prop_assert!(!accepts(&code, &arp, 7), "our own mark passes");
            }
        }
    }

    #[test]
    fn a_crowd_falls_back_to_every_locally_administered_address() {
        let crowd = vec![MacAddr::ZERO; MAX_LISTED + 1];
        let code = program(Unicast::for_members(&crowd), None);
        assert!(accepts(&code, &frame([0x02, 0, 0, 0, 0, 1]), 7));
        assert!(accepts(&code, &frame([0x33, 0x33, 0, 0, 0, 1]), 7));
        assert!(!accepts(&code, &frame([0x00, 0x1b, 0x21, 0, 0, 1]), 7));
    }

    #[test]
    fn a_runt_is_dropped() {
        let code = program(Unicast::For(&[MacAddr::ZERO]), None);
        for length in 0..14 {
            assert!(!accepts(&code, &vec![0; length], 0));
        }
    }
}
