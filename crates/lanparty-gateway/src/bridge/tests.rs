//! The bridge against scripted LANs and players.

use lanparty_proto::ethernet::EtherType;
use rand::SeedableRng;

use super::*;

const HOST: MacAddr = MacAddr([0x00, 0x11, 0x22, 0x33, 0x44, 0x55]);
const LAN: MacAddr = MacAddr([0x00, 0xAA, 0, 0, 0, 1]);
const ANN: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 1]);
const BEN: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 2]);

struct Party {
    bridge: Bridge,
    now: Instant,
}

fn peer(id: u16) -> PeerId {
    PeerId::try_from(id).unwrap()
}

/// Ann (1) and Ben (2) in the room, the gateway on 10.0.0.0/24.
fn party() -> Party {
    #[expect(clippy::disallowed_methods, reason = "where the test's clock starts")]
    let now = Instant::now();
    let mut bridge = Bridge::new(Rules::default(), StdRng::seed_from_u64(1), now);
    bridge.set_host(HOST, &["10.0.0.10/24".parse().unwrap()]);
    bridge.player_joined(peer(1), ANN, now);
    bridge.player_joined(peer(2), BEN, now);
    Party { bridge, now }
}

impl Party {
    fn lan_sends(&mut self, frame: &[u8]) -> Result<ToRoom, DropReason> {
        self.bridge.from_lan(frame, Origin::Wire, self.now)
    }

    fn room_sends(&mut self, frame: &[u8], source: u16) -> Result<Target, DropReason> {
        self.bridge.from_room(frame, peer(source), self.now)
    }

    /// Lets time pass and returns what the bridge sent and said.
    fn pass(&mut self, time: Duration) -> Vec<Output> {
        let end = self.now + time;
        let mut outputs = Vec::new();
        while let Some(next) = self.bridge.next_wakeup()
            && next <= end
        {
            self.now = self.now.max(next);
            self.bridge.tick(self.now);
            outputs.extend(std::iter::from_fn(|| self.bridge.poll_output()));
        }
        self.now = end;
        outputs.extend(std::iter::from_fn(|| self.bridge.poll_output()));
        outputs
    }

    fn alarms(&mut self) -> Vec<Alarm> {
        let outputs = std::iter::from_fn(|| self.bridge.poll_output());
        let alarms = outputs.filter_map(|output| match output {
            Output::Alarm(alarm) => Some(alarm),
            Output::Send { .. } | Output::Tell { .. } => None,
        });
        alarms.collect()
    }

    /// Ann speaks from 10.0.0.`last` until the conflict probes are through.
    fn settle(&mut self, last: u8) {
        let announcement = arp(ANN, [10, 0, 0, last], [10, 0, 0, last]);
        let _ = self.room_sends(&announcement, 1);
        self.pass(Duration::from_secs(1));
    }
}

fn arp(source: MacAddr, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let mut frame = [&[0xFF; 6], &source.octets()[..], &[8, 6]].concat();
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(source.octets());
    frame.extend(sender);
    frame.extend([0; 6]);
    frame.extend(target);
    frame.resize(60, 0);
    frame
}

fn udp(to: MacAddr, from: MacAddr, source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, 40, 0, 1, 0, 0, 64, 17, 0, 0];
    ip.extend(source);
    ip.extend(destination);
    let words = ip.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1]));
    let sum: u32 = words.sum();
    let sum = (sum & 0xFFFF) + (sum >> 16);
    ip[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    let mut frame = [&to.octets()[..], &from.octets(), &[8, 0]].concat();
    frame.extend(ip);
    frame.extend([0x10, 0x10, 0x20, 0x20, 0, 20, 0, 0]);
    frame.resize(60, 7);
    frame
}

/// An IGMPv2 report for 239.1.2.`group`, with its router alert option.
fn igmp(from: MacAddr, group: u8) -> Vec<u8> {
    let to = [0x01, 0x00, 0x5E, 1, 2, group];
    let mut ip = vec![0x46, 0, 0, 32, 0, 0, 0, 0, 1, 2, 0, 0, 10, 0, 0, 7];
    ip.extend([239, 1, 2, group, 0x94, 4, 0, 0]);
    let sum: u32 = ip
        .chunks(2)
        .map(|w| u32::from(w[0]) << 8 | u32::from(w[1]))
        .sum();
    let sum = (sum & 0xFFFF) + (sum >> 16);
    ip[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    let mut frame = [&to[..], &from.octets(), &[8, 0]].concat();
    frame.extend(ip);
    frame.extend([0x16, 0, 0, 0, 239, 1, 2, group]);
    frame.resize(60, 0);
    frame
}

fn sent(outputs: &[Output]) -> impl Iterator<Item = &[u8]> {
    outputs.iter().filter_map(|output| match output {
        Output::Send { frame, .. } => Some(frame.as_slice()),
        Output::Tell { .. } | Output::Alarm(_) => None,
    })
}

fn refreshes(outputs: &[Output], player: MacAddr) -> usize {
    let is_refresh = |frame: &&[u8]| frame[6..12] == player.octets() && frame[..6] == HOST.octets();
    sent(outputs).filter(is_refresh).count()
}

#[test]
fn frames_from_the_lan_go_to_whom_they_are_for() {
    let mut party = party();
    let to_ann = udp(ANN, LAN, [10, 0, 0, 1], [10, 0, 0, 7]);
    assert_eq!(party.lan_sends(&to_ann), Ok(ToRoom::Player(peer(1))));
    let to_all = arp(LAN, [10, 0, 0, 1], [10, 0, 0, 7]);
    assert_eq!(party.lan_sends(&to_all), Ok(ToRoom::Everybody));
    let to_stranger = udp(HOST, LAN, [10, 0, 0, 1], [10, 0, 0, 10]);
    assert_eq!(party.lan_sends(&to_stranger), Ok(ToRoom::Nobody));
}

#[test]
fn an_empty_room_is_not_told_the_lans_broadcasts() {
    let mut party = party();
    party.bridge.player_left(peer(1), true, party.now);
    party.bridge.player_left(peer(2), true, party.now);
    let to_all = arp(LAN, [10, 0, 0, 1], [10, 0, 0, 7]);
    assert_eq!(party.lan_sends(&to_all), Ok(ToRoom::Nobody));
}

#[test]
fn frames_from_players_go_to_the_wire_the_host_or_both() {
    let mut party = party();
    party.settle(7);
    let from_ann = |to| udp(to, ANN, [10, 0, 0, 7], [10, 0, 0, 10]);
    assert_eq!(party.room_sends(&from_ann(LAN), 1), Ok(Target::Wire));
    assert_eq!(party.room_sends(&from_ann(HOST), 1), Ok(Target::Host));
    let broadcast = udp(MacAddr::BROADCAST, ANN, [10, 0, 0, 7], [10, 0, 0, 255]);
    assert_eq!(party.room_sends(&broadcast, 1), Ok(Target::Both));
    let to_ben = from_ann(BEN);
    assert_eq!(party.room_sends(&to_ben, 1), Err(DropReason::Reflected));
}

#[test]
fn the_gateway_computer_does_not_route_for_players() {
    let mut party = party();
    party.settle(7);
    let elsewhere = udp(HOST, ANN, [10, 0, 0, 7], [192, 0, 2, 1]);
    assert_eq!(
        party.room_sends(&elsewhere, 1),
        Err(DropReason::HostNotAllowed)
    );
}

#[test]
fn b8_a_player_speaks_with_its_own_mac_only() {
    let mut party = party();
    let frame = arp(BEN, [10, 0, 0, 7], [10, 0, 0, 7]);
    assert_eq!(party.room_sends(&frame, 1), Err(DropReason::SourceMac));
    assert_eq!(party.room_sends(&frame, 9), Err(DropReason::SourceId));
}

#[test]
fn a_static_address_is_the_players_once_nobody_answered_the_probe() {
    let mut party = party();
    let frame = udp(LAN, ANN, [10, 0, 0, 7], [10, 0, 0, 1]);
    assert_eq!(party.room_sends(&frame, 1), Err(DropReason::SourceIp));
    let probes = party.pass(Duration::from_secs(1));
    let is_arp = |frame: &&[u8]| frame[12..14] == EtherType::ARP.0.to_be_bytes();
    assert!(sent(&probes).filter(is_arp).count() >= 1);
    assert_eq!(party.room_sends(&frame, 1), Ok(Target::Wire));
    let held: Vec<_> = party.bridge.addresses_of(ANN, party.now).collect();
    assert_eq!(held, [IpAddr::from([10, 0, 0, 7])]);
}

#[test]
fn the_address_of_a_lan_host_or_of_the_gateway_is_never_a_players() {
    let mut party = party();
    party
        .lan_sends(&arp(LAN, [10, 0, 0, 1], [10, 0, 0, 5]))
        .unwrap();
    for last in [1, 10] {
        let frame = arp(ANN, [10, 0, 0, last], [10, 0, 0, 5]);
        party.room_sends(&frame, 1).unwrap_err();
        party.pass(Duration::from_secs(2));
        assert_eq!(party.room_sends(&frame, 1), Err(DropReason::ArpSpoof));
    }
}

#[test]
fn the_switch_is_reminded_of_present_players_every_minute() {
    let mut party = party();
    let first = party.pass(Duration::from_secs(1));
    assert_eq!(refreshes(&first, ANN), 1, "soon after the join");
    let later = party.pass(Duration::from_secs(600));
    assert!((10..=12).contains(&refreshes(&later, ANN)));
    party.bridge.player_left(peer(1), true, party.now);
    let rest = party.pass(Duration::from_secs(200));
    assert_eq!(refreshes(&rest, ANN), 0);
    assert!(refreshes(&rest, BEN) >= 3);
}

#[test]
fn a_players_mac_on_the_lan_is_an_alarm_and_is_not_refreshed() {
    let mut party = party();
    for _ in 0..100 {
        let looped = arp(ANN, [10, 0, 0, 7], [10, 0, 0, 7]);
        assert_eq!(party.lan_sends(&looped), Err(DropReason::MemberMacFromLan));
    }
    let alarm = Alarm::Loop {
        player: peer(1),
        mac: ANN,
    };
    assert_eq!(party.alarms(), [alarm], "once a minute at most");
    assert_eq!(refreshes(&party.pass(Duration::from_secs(120)), ANN), 0);
}

#[test]
fn b12_of_two_gateways_on_one_lan_the_newcomer_goes() {
    let mut old = party();
    old.pass(Duration::from_secs(30));
    let mut new = party();
    new.bridge.nonce = [0; 16];
    new.now = old.now;
    new.bridge.since = old.now;
    let probe = |party: &mut Party| {
        let outputs = party.pass(LOOP_PROBE_INTERVAL);
        let is_probe = |frame: &&[u8]| marker::loop_probe_nonce(frame).is_some();
        sent(&outputs).find(is_probe).unwrap().to_vec()
    };
    let (from_old, from_new) = (probe(&mut old), probe(&mut new));
    assert_eq!(new.lan_sends(&from_old), Ok(ToRoom::Nobody));
    assert_eq!(new.alarms(), [Alarm::SecondGateway { mac: HOST }]);
    old.lan_sends(&from_new).unwrap();
    assert_eq!(old.alarms(), [Alarm::NewerGateway { mac: HOST }]);
    old.lan_sends(&from_old).unwrap();
    assert_eq!(old.alarms(), [Alarm::LanLoop]);
}

#[test]
fn of_two_fresh_gateways_the_one_that_was_let_in_stays() {
    let (mut inside, mut outside) = (party(), party());
    inside.bridge.joined();
    inside.bridge.nonce = [9; 16];
    outside.bridge.nonce = [0; 16];
    let probe = |party: &mut Party| {
        let outputs = party.pass(LOOP_PROBE_INTERVAL);
        let is_probe = |frame: &&[u8]| marker::loop_probe_nonce(frame).is_some();
        sent(&outputs).find(is_probe).unwrap().to_vec()
    };
    let (from_inside, from_outside) = (probe(&mut inside), probe(&mut outside));
    outside.lan_sends(&from_inside).unwrap();
    assert_eq!(outside.alarms(), [Alarm::SecondGateway { mac: HOST }]);
    inside.lan_sends(&from_outside).unwrap();
    assert_eq!(inside.alarms(), [Alarm::NewerGateway { mac: HOST }]);
}

#[test]
fn a_storm_on_the_lan_is_cut_to_the_budget() {
    let mut party = party();
    let storm = arp(LAN, [10, 0, 0, 1], [10, 0, 0, 7]);
    let passed = (0..100_000)
        .filter(|_| party.lan_sends(&storm).is_ok())
        .count();
    assert!(passed as u64 <= LAN_FLOOD_DEFAULT.burst);
    assert_eq!(party.lan_sends(&storm), Err(DropReason::FloodLimited));
    let to_ann = udp(ANN, LAN, [10, 0, 0, 1], [10, 0, 0, 7]);
    assert_eq!(party.lan_sends(&to_ann), Ok(ToRoom::Player(peer(1))));
}

#[test]
fn groups_are_reported_again_when_the_link_returns() {
    let mut party = party();
    party.settle(7);
    for group in [1, 2, 1] {
        assert_eq!(party.room_sends(&igmp(ANN, group), 1), Ok(Target::Both));
    }
    let reported = |party: &mut Party| -> Vec<u8> {
        let outputs = party.pass(Duration::ZERO);
        let reports = sent(&outputs).filter(|frame| frame[..3] == [1, 0, 0x5E]);
        reports.map(|frame| frame[5]).collect()
    };
    party.bridge.link_up(party.now);
    assert_eq!(reported(&mut party), [1, 2]);
    party.bridge.player_left(peer(1), false, party.now);
    party.bridge.player_joined(peer(1), ANN, party.now);
    assert_eq!(reported(&mut party), [1, 2], "also when the player returns");
    party.bridge.player_left(peer(1), true, party.now);
    party.bridge.player_joined(peer(1), ANN, party.now);
    party.bridge.link_up(party.now);
    assert_eq!(reported(&mut party), [0; 0]);
}

#[test]
fn a_player_that_lost_its_connection_keeps_its_address_for_a_while() {
    let mut party = party();
    party.settle(7);
    let frame = udp(LAN, ANN, [10, 0, 0, 7], [10, 0, 0, 1]);
    party.bridge.player_left(peer(1), false, party.now);
    assert_eq!(party.room_sends(&frame, 1), Err(DropReason::SourceId));
    party.bridge.player_joined(peer(1), ANN, party.now);
    assert_eq!(party.room_sends(&frame, 1), Ok(Target::Wire));
    party.bridge.player_left(peer(1), false, party.now);
    party.pass(KEEP_DEPARTED + LOOP_PROBE_INTERVAL);
    party.bridge.player_joined(peer(1), ANN, party.now);
    assert_eq!(party.room_sends(&frame, 1), Err(DropReason::SourceIp));
    party.settle(7);
    party.bridge.player_left(peer(1), true, party.now);
    party.bridge.player_joined(peer(1), ANN, party.now);
    assert_eq!(party.room_sends(&frame, 1), Err(DropReason::SourceIp));
}

#[test]
fn the_memory_of_departed_players_is_bounded() {
    let mut party = party();
    for number in 0..1_000_u16 {
        let [high, low] = number.to_be_bytes();
        let mac = MacAddr([2, 1, 0, 0, high, low]);
        party
            .bridge
            .player_joined(peer(number + 10), mac, party.now);
        party
            .bridge
            .player_left(peer(number + 10), false, party.now);
        party.now += Duration::from_millis(10);
        assert!(party.bridge.departed.len() <= MAX_DEPARTED);
    }
}

fn told(outputs: &[Output], player: MacAddr) -> usize {
    let announcement = arp::announcement_frame(player, HOST, [10, 0, 0, 10].into());
    let is_told =
        |output: &&Output| matches!(output, Output::Tell { frame } if *frame == announcement);
    outputs.iter().filter(is_told).count()
}

#[test]
fn players_are_told_which_address_is_ours_before_anybody_can_pose_as_us() {
    let mut party = party();
    party.pass(Duration::from_secs(1));
    let _ = party.room_sends(&arp(ANN, [0; 4], [10, 0, 0, 7]), 1);
    let at_once = party.pass(Duration::ZERO);
    assert_eq!((told(&at_once, ANN), told(&at_once, BEN)), (1, 0));
    let _ = party.room_sends(&arp(ANN, [0; 4], [10, 0, 0, 7]), 1);
    assert_eq!(told(&party.pass(Duration::ZERO), ANN), 0, "once is enough");
    // Players forget a LAN host that is silent for 600 s.
    let later = party.pass(Duration::from_secs(300));
    assert!(told(&later, ANN) >= 4 && told(&later, BEN) >= 4);
}
