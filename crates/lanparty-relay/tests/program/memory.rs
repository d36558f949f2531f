//! What members cost the relay's machine.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::member::Member;
use crate::relay::{Home, Relay};

const MEMBERS: u8 = 200;
/// What one that only keeps its connection alive may cost.
const BUDGET: u64 = 64 * 1024;
/// Longer than the place of a connection that is over stays taken.
const FAREWELL: Duration = Duration::from_millis(3_500);

fn resident(relay: &Relay) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", relay.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.unwrap().parse::<u64>().unwrap() * 1024
}

fn join(home: &Home, relay: &Relay, numbers: std::ops::RangeInclusive<u8>) -> Vec<Member> {
    let mut members: Vec<Member> = Vec::new();
    for number in numbers {
        let mut member = Member::join(home, relay.address, number, None);
        member.welcome();
        members.push(member);
        // The others hear of each newcomer and read it.
        for member in &mut members {
            member.turn();
        }
    }
    members
}

fn leave(members: Vec<Member>) {
    for mut member in members {
        member.leave("");
    }
}

#[test]
fn an_idle_member_costs_little_and_nothing_once_it_has_left() {
    let home = Home::new();
    let certificate = home.certificate();
    let arguments = [
        "--dev-cert-der-out",
        certificate.to_str().unwrap(),
        "--max-peers-per-room",
        "250",
        "--max-connections-per-address",
        "1000",
    ];
    let relay = Relay::spawn(&home, "127.0.0.1:0", &arguments, "");
    // What the first members cost once and for all is not theirs.
    leave(join(&home, &relay, 1..=20));
    let before = resident(&relay);
    let members = join(&home, &relay, 1..=MEMBERS);
    thread::sleep(Duration::from_millis(500));
    let full = resident(&relay);
    let each = full.saturating_sub(before) / u64::from(MEMBERS);
    assert!(each <= BUDGET, "{} KiB for each member", each / 1024);
    leave(members);
    // What those left behind is used again.
    let round = || {
        thread::sleep(FAREWELL);
        let members = join(&home, &relay, 1..=MEMBERS);
        let now = resident(&relay);
        leave(members);
        now
    };
    let (second, third) = (round(), round());
    assert!(
        third <= second + second / 10,
        "{} KiB and then {} KiB",
        second / 1024,
        third / 1024
    );
}
