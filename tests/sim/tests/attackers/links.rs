//! One member against the links of the others.

use std::collections::BTreeMap;
use std::time::Duration;

use lanparty_ctrl::{Message, Sealed, SealedBody};
use lanparty_proto::MacAddr;
use lanparty_proto::overlay::Hint;
use lanparty_relay_core::{Conn, Limits};

use crate::party::{Arrival, Guest, Party, mac};

/// A DSL line of 20 Mbit/s, in bytes.
const DOWNLINK: u64 = 2_500_000;
const TICK: Duration = Duration::from_millis(1);
const SECONDS: u64 = 3;
/// What a game sends: small and often.
const GAME_EVERY_MS: u64 = 15;
const GAME_LEN: usize = 120;

struct Hall {
    party: Party,
    hostile: Guest,
    players: Vec<Guest>,
}

fn hall() -> Hall {
    let mut party = Party::new(Limits::default());
    let host = party.gateway(1);
    let hostile = party.player(2);
    let players: Vec<Guest> = (3..9).map(|n| party.player(n)).collect();
    party.connect_link(&host, DOWNLINK);
    for player in &players {
        party.connect_link(player, DOWNLINK);
    }
    Hall {
        party,
        hostile,
        players,
    }
}

/// What each pair of players noticed.
#[derive(Debug, Default)]
struct Game {
    sent: usize,
    received: usize,
    worst: Duration,
    of_hostile: BTreeMap<Conn, usize>,
}

impl Hall {
    /// Everybody plays with everybody; `attack` does its worst in each tick.
    fn play(&mut self, mut attack: impl FnMut(&mut Party, &Guest)) -> Game {
        let mut game = Game::default();
        let hostile = self.hostile.id().get();
        for ms in 0..SECONDS * 1_000 {
            attack(&mut self.party, &self.hostile);
            if ms % GAME_EVERY_MS == 0 {
                for from in &self.players {
                    for to in &self.players {
                        if from.conn != to.conn {
                            let bytes = from.datagram(to.mac, Hint::Sparse, 7, GAME_LEN);
                            assert!(self.party.send(from, &bytes));
                            game.sent += 1;
                        }
                    }
                }
            }
            self.party.pass(TICK, &mut |arrival: Arrival| {
                if arrival.source == hostile {
                    *game.of_hostile.entry(arrival.to).or_default() += arrival.len;
                } else {
                    game.received += 1;
                    game.worst = game.worst.max(arrival.delay);
                }
            });
        }
        self.party.pass(Duration::from_secs(1), &mut |arrival| {
            game.received += usize::from(arrival.source != hostile);
        });
        game
    }
}

fn assert_undisturbed(game: &Game, quiet: &Game) {
    let lost = game.sent - game.received;
    assert!(lost * 100 < game.sent, "{lost} of {} lost", game.sent);
    // One full-size frame of the attacker's may be on the wire already, and
    // one of each of its flows may be served in between.
    let allowed = quiet.worst + Duration::from_millis(5);
    assert!(
        game.worst <= allowed,
        "{:?}, {:?} in peace",
        game.worst,
        quiet.worst
    );
}

#[test]
fn a8_a_member_at_line_rate_takes_no_more_than_its_share_of_the_others_links() {
    let quiet = hall().play(|_, _| {});
    assert_eq!(quiet.sent, quiet.received);
    // 1 Gbit/s at one player, at all of them in turn, and at everybody at
    // once, in one flow and in as many as there are tags.
    type Target = fn(u64) -> MacAddr;
    let targets: [Target; 3] = [
        |_| mac(3),
        |n| mac(3 + (n % 6) as u8),
        |_| MacAddr::BROADCAST,
    ];
    for target in targets {
        let mut n = 0;
        let game = hall().play(|party, hostile| {
            for _ in 0..89 {
                n += 1;
                let tag = (n % 65_536) as u16;
                let bytes = hostile.datagram(target(n), Hint::Sparse, tag, 1_376);
                party.send(hostile, &bytes);
            }
        });
        assert_undisturbed(&game, &quiet);
        assert!(!game.of_hostile.is_empty(), "the attack was one");
    }
}

#[test]
fn a8_sealed_messages_without_end_reach_each_member_at_a_trickle() {
    let mut hall = hall();
    let body = || SealedBody::try_from(vec![0xC5; 4_096]).unwrap();
    let mut heard = 0;
    for second in 0..60 {
        for _ in 0..40 {
            let message = Message::Sealed(Sealed {
                peer: None,
                body: body(),
            });
            hall.party.say(hall.hostile.conn, &message);
        }
        hall.party.pass(Duration::from_secs(1), &mut |_| {});
        let control = hall.party.heard(hall.players[0].conn);
        heard += control
            .iter()
            .filter(|message| matches!(message, Message::Sealed(_)))
            .count();
        assert!(heard <= 8 + second + 1, "{heard} after {second} s");
    }
    assert!(heard > 30, "{heard}");
    assert!(hall.party.closed.is_empty());
}

#[test]
fn a11_a_receiver_that_is_frozen_costs_a_bounded_queue_and_nobody_elses_time() {
    let quiet = hall().play(|_, _| {});
    let mut hall = hall();
    let frozen = hall.players.pop().unwrap();
    hall.party.connect_link(&frozen, 0);
    let mut n = 0_u64;
    let mut game = hall.play(|party, hostile| {
        // A torrent for the frozen one, from somebody who means no harm.
        for _ in 0..20 {
            n += 1;
            let bytes = hostile.datagram(frozen.mac, Hint::Bulk, (n % 8) as u16, 1_376);
            assert!(party.send(hostile, &bytes));
        }
    });
    assert!(game.of_hostile.is_empty());
    game.of_hostile.clear();
    assert_undisturbed(&game, &quiet);
    let held = hall.party.most_held(&frozen);
    let bound = lanparty_queue::QueueLimits::default().bytes;
    assert!(held > bound / 2, "{held}: nothing was held");
    assert!(held <= bound + 2_000, "{held} of {bound}");
}
