//! What each command does to the lists.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use lanparty_ctrl::{KeyCard, Role};

use super::*;

const ROOM: RoomId = RoomId([1; 16]);

fn identity(number: u8) -> Identity {
    Identity([number; 32])
}

fn member(peer: u16, name: &str, number: u8) -> PeerInfo {
    PeerInfo {
        peer: PeerId::try_from(peer).unwrap(),
        role: Role::Client,
        mac: None,
        name: name.parse().unwrap(),
        key_card: KeyCard {
            identity: identity(number).0,
            public_key: [0; 32],
            x25519: [0; 32],
            session: [0; 16],
            signature: [0; 64],
        },
    }
}

fn asking(name: &str, number: u8) -> Asking {
    Asking {
        identity: identity(number),
        name: name.parse().unwrap(),
        role: Role::Client,
        mac: None,
    }
}

struct Party {
    directory: tempfile::TempDir,
    host: Host,
    members: Vec<PeerInfo>,
}

impl Party {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            host: Host::load(directory.path(), ROOM, false).unwrap(),
            members: vec![member(7, "alice", 0xA1), member(8, "bob", 0xB0)],
            directory,
        }
    }

    fn tell(&mut self, request: Request) -> Result<Outcome, Refusal> {
        let present: Vec<_> = self.members.iter().collect();
        self.host.command(&request, &present, true)
    }

    fn restart(&mut self) {
        self.host = Host::load(self.directory.path(), ROOM, false).unwrap();
    }

    fn banned(&self) -> Vec<Identity> {
        self.host.access().banned.to_vec()
    }

    fn approved(&self) -> Vec<Identity> {
        self.host.access().approved.to_vec()
    }
}

fn who(text: &str) -> String {
    text.to_owned()
}

#[test]
fn a_kick_puts_out_and_changes_no_list() {
    let mut party = Party::new();
    let before = party.host.access();
    for name in ["alice", "7", "a1a1a1a1"] {
        let outcome = party.tell(Request::Kick { who: who(name) }).unwrap();
        assert_eq!(
            outcome.remove,
            Some((PeerId::try_from(7_u16).unwrap(), false))
        );
        assert!(outcome.sentence.contains("alice"), "{outcome:?}");
    }
    assert_eq!(party.host.access(), before);
}

#[test]
fn a_ban_lasts_over_restarts_and_says_how_long_it_holds() {
    let mut party = Party::new();
    let outcome = party.tell(Request::Ban { who: who("bob") }).unwrap();
    assert_eq!(
        outcome.remove,
        Some((PeerId::try_from(8_u16).unwrap(), true))
    );
    for word in ["approval", "rotate-key"] {
        assert!(outcome.sentence.contains(word), "{outcome:?}");
    }
    party.members.pop();
    party.restart();
    assert_eq!(party.banned(), [identity(0xB0)]);
    let mode = fs::metadata(&party.host.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    party.tell(Request::Unban { who: who("bob") }).unwrap();
    party.restart();
    assert!(party.banned().is_empty());
}

#[test]
fn with_approval_a_ban_is_for_good() {
    let mut party = Party::new();
    party.tell(Request::Approval { required: true }).unwrap();
    let outcome = party.tell(Request::Ban { who: who("bob") }).unwrap();
    assert!(!outcome.sentence.contains("rotate-key"), "{outcome:?}");
    assert_eq!(party.approved(), [identity(0xA1)]);
}

#[test]
fn when_approval_begins_whoever_is_there_may_stay() {
    let mut party = Party::new();
    party.tell(Request::Approval { required: true }).unwrap();
    assert!(party.host.access().approval);
    assert_eq!(party.approved(), [identity(0xA1), identity(0xB0)]);
    party.restart();
    assert!(party.host.approval());
    party.tell(Request::Approval { required: false }).unwrap();
    party.restart();
    assert!(!party.host.approval());
}

#[test]
fn whoever_asks_is_let_in_or_turned_away() {
    let mut party = Party::new();
    assert!(party.host.asked(asking("carol", 0xC0)));
    assert!(!party.host.asked(asking("carol", 0xC0)));
    assert!(party.host.asked(asking("dave", 0xD0)));
    party.tell(Request::Approve { who: who("carol") }).unwrap();
    party.tell(Request::Deny { who: who("dave") }).unwrap();
    assert_eq!(party.approved(), [identity(0xC0)]);
    assert_eq!(party.banned(), [identity(0xD0)]);
    assert_eq!(party.host.asking().count(), 0);
    assert!(matches!(
        party.tell(Request::Deny { who: who("alice") }),
        Err(Refusal::Nobody(_))
    ));
    // A change of mind.
    party.tell(Request::Approve { who: who("dave") }).unwrap();
    assert!(party.banned().is_empty());
}

#[test]
fn a_name_that_two_have_is_not_taken_for_one_of_them() {
    let mut party = Party::new();
    party.members.push(member(9, "alice", 0xA2));
    let error = party.tell(Request::Ban { who: who("alice") }).unwrap_err();
    assert_eq!(error, Refusal::Ambiguous(who("alice")));
    assert!(party.banned().is_empty());
    party.tell(Request::Ban { who: who("9") }).unwrap();
    assert_eq!(party.banned(), [identity(0xA2)]);
    for nobody in ["", "a", "a1a1a1", "carol", "65536"] {
        let error = party.tell(Request::Kick { who: who(nobody) }).unwrap_err();
        assert_eq!(error, Refusal::Nobody(who(nobody)));
    }
}

#[test]
fn a_name_cannot_pose_as_another_members_number() {
    let mut party = Party::new();
    party.members.push(member(9, "7", 0xE0));
    let outcome = party.tell(Request::Kick { who: who("7") }).unwrap();
    assert_eq!(
        outcome.remove,
        Some((PeerId::try_from(7_u16).unwrap(), false))
    );
}

#[test]
fn the_lists_of_another_room_are_let_go() {
    let mut party = Party::new();
    party.tell(Request::Approval { required: true }).unwrap();
    party.tell(Request::Ban { who: who("bob") }).unwrap();
    let other = Host::load(party.directory.path(), RoomId([2; 16]), false).unwrap();
    assert_eq!(other.banned().count() + other.approved().count(), 0);
    assert!(other.approval());
}

#[test]
fn strangers_at_the_door_take_a_bounded_place() {
    let mut party = Party::new();
    for number in 0..=u8::MAX {
        party.host.asked(asking("x", number));
    }
    assert_eq!(party.host.asking().count(), MAX_ASKING);
    assert_eq!(
        party.host.asking().next().unwrap().identity,
        identity(u8::MAX - 63)
    );
}

#[test]
fn a_full_list_is_said_and_a_damaged_file_is_not_replaced() {
    let mut party = Party::new();
    for number in 0..MAX_LISTED {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&(number as u16).to_be_bytes());
        let name = String::new();
        party.host.lists.banned.insert(Identity(bytes), name);
    }
    let error = party.tell(Request::Ban { who: who("bob") }).unwrap_err();
    assert_eq!(error, Refusal::Full);
    assert_eq!(party.banned().len(), MAX_LISTED);
    fs::write(&party.host.path, "{").unwrap();
    assert!(matches!(
        Host::load(party.directory.path(), ROOM, false),
        Err(Failure::AccessFile { .. })
    ));
}
