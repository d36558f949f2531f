//! The adapter with the rig's stand-in driver, whose other end is a device of
//! its own. On a machine without that driver there is nothing to test.
#![cfg(windows)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests, outside of test functions"
)]

use std::io;
use std::os::windows::io::AsHandle as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use lanparty_client_tap::windows::{adapters, control};
use lanparty_client_tap::{Adapter as _, FromTap, Received, Tap, TapError, TapOptions};
use lanparty_os::journal::{BootId, Journal};
use lanparty_os::windows::changes::SharedJournal;
use lanparty_os::windows::guid::Guid;
use lanparty_os::windows::overlapped::{Device, Event, Operation};
use lanparty_os::windows::{class, wait};
use lanparty_proto::MacAddr;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(10);
const FRAME: usize = 1_514;
/// More than are ever in flight, fewer than the driver holds.
const FRAMES: u32 = 500;

/// One test at a time has the adapter.
static ADAPTER: Mutex<()> = Mutex::new(());

struct Rig {
    guid: Guid,
    state: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Rig {
    /// None where the stand-in driver is not there.
    fn find() -> Option<Self> {
        let alone = ADAPTER.lock().unwrap_or_else(PoisonError::into_inner);
        let guid = adapters().unwrap().first().map(|found| found.guid);
        let Some(guid) = guid.filter(|guid| peer(*guid).is_ok()) else {
            eprintln!("SKIPPED: the rig's driver is not here");
            return None;
        };
        Some(Self {
            guid,
            state: tempfile::tempdir().unwrap(),
            _alone: alone,
        })
    }

    fn journal(&self) -> SharedJournal {
        let boot = BootId::current().unwrap();
        Journal::open(self.state.path(), boot).unwrap().into()
    }

    fn open(&self, last: u8) -> Result<Tap, TapError> {
        Tap::open(&TapOptions {
            name: "lanparty0".to_owned(),
            mac: MacAddr([0x02, 0, 0x5E, 0x10, 0, last]),
            mtu: 1_344,
            instance_id: None,
            journal: self.journal(),
        })
    }
}

fn peer(guid: Guid) -> io::Result<Device> {
    Device::open(&format!(r"\\.\Global\{guid}.peer"))
}

fn frame(number: u32) -> [u8; FRAME] {
    let mut frame = [0xFF; FRAME];
    frame[14..18].copy_from_slice(&number.to_be_bytes());
    frame
}

fn number(frame: &[u8]) -> u32 {
    assert_eq!(frame.len(), FRAME);
    u32::from_be_bytes(*frame[14..].first_chunk().unwrap())
}

/// Reads as the programs' loop does, until `count` frames have come.
fn receive(tap: &mut Tap, count: usize) -> io::Result<Vec<u32>> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let ready = wait::wait_any(&[tap.as_handle()], Some(PATIENCE))?;
        assert!(ready.is_some(), "nothing more after {}", seen.len());
        tap.receive(8, &mut |from| {
            if let FromTap::Frame(frame) = from {
                seen.push(number(frame));
            }
        })?;
    }
    Ok(seen)
}

#[test]
fn frames_cross_in_order_both_ways() {
    let Some(rig) = Rig::find() else { return };
    let mut tap = rig.open(1).unwrap();
    tap.set_carrier(true).unwrap();
    let peer = peer(rig.guid).unwrap();
    let expected: Vec<u32> = (0..FRAMES).collect();

    let sender = thread::spawn({
        let peer = peer.clone();
        move || {
            let event = Event::new().unwrap();
            let mut write = Operation::new(peer, FRAME);
            for number in 0..FRAMES {
                write.start_write(&event, &frame(number)).unwrap();
                write.finish(&event, PATIENCE).unwrap();
            }
        }
    });
    assert_eq!(receive(&mut tap, FRAMES as usize).unwrap(), expected);
    sender.join().unwrap();
    let mut none = |_: FromTap<'_>| panic!("one frame too many");
    assert_eq!(tap.receive(8, &mut none).unwrap(), Received::Drained);
    let idle = wait::wait_any(&[tap.as_handle()], Some(Duration::ZERO)).unwrap();
    assert_eq!(idle, None, "signalled without a frame");

    let reader = thread::spawn(move || {
        let event = Event::new().unwrap();
        let mut read = Operation::new(peer, FRAME);
        let mut next = || {
            read.start_read(&event, FRAME).unwrap();
            read.finish(&event, PATIENCE).unwrap();
            number(read.buffer())
        };
        (0..FRAMES).map(|_| next()).collect::<Vec<_>>()
    });
    let mut refused = 0;
    for number in 0..FRAMES {
        tap.send(&frame(number));
        if number % 8 == 7 {
            refused += tap.flush();
            thread::sleep(Duration::from_millis(1));
        }
    }
    refused += tap.flush();
    assert_eq!(refused, 0);
    assert_eq!(reader.join().unwrap(), expected);
    let counters = tap.counters();
    assert_eq!(counters.frames_in, u64::from(FRAMES));
    assert!(
        counters.frames_out + 16 >= u64::from(FRAMES),
        "{counters:?}"
    );
}

#[test]
fn without_its_cable_the_adapter_takes_and_gives_nothing_and_with_it_it_does_again() {
    let Some(rig) = Rig::find() else { return };
    let mut tap = rig.open(1).unwrap();
    tap.send(&frame(0));
    assert_eq!(tap.flush(), 1);
    for round in 0..3 {
        tap.set_carrier(true).unwrap();
        let peer = peer(rig.guid).unwrap();
        let event = Event::new().unwrap();
        let mut write = Operation::new(peer, FRAME);
        write.start_write(&event, &frame(round)).unwrap();
        write.finish(&event, PATIENCE).unwrap();
        assert_eq!(receive(&mut tap, 1).unwrap(), [round]);
        tap.set_carrier(false).unwrap();
        let mut none = |_: FromTap<'_>| panic!("a frame without a cable");
        assert_eq!(tap.receive(8, &mut none).unwrap(), Received::Drained);
    }
}

#[test]
fn another_mac_is_taken_by_a_restart_and_the_wish_for_it_ends_with_the_adapter() {
    let Some(rig) = Rig::find() else { return };
    let before = class::network_address(rig.guid).unwrap();
    for last in [7, 8] {
        let tap = rig.open(last).unwrap();
        let wish = class::network_address(rig.guid).unwrap().unwrap();
        assert_eq!(wish, format!("02005E1000{last:02X}"));
        let lines = tap.introduction().join("\n");
        assert!(lines.contains("driver 9.27"), "{lines}");
        drop(tap);
        assert_eq!(class::network_address(rig.guid).unwrap(), before);
    }
}

#[test]
fn a_second_instance_is_refused() {
    let Some(rig) = Rig::find() else { return };
    let _tap = rig.open(1).unwrap();
    let state = tempfile::tempdir().unwrap();
    let boot = BootId::current().unwrap();
    let second = Tap::open(&TapOptions {
        name: "lanparty0".to_owned(),
        mac: MacAddr([0x02, 0, 0x5E, 0x10, 0, 1]),
        mtu: 1_344,
        instance_id: Some(rig.guid),
        journal: Journal::open(state.path(), boot).unwrap().into(),
    });
    assert!(matches!(second, Err(TapError::InUse { .. })), "{second:?}");
}

#[test]
fn an_adapter_that_is_pulled_out_is_an_error_and_nothing_worse() {
    let Some(rig) = Rig::find() else { return };
    let mut tap = rig.open(1).unwrap();
    tap.set_carrier(true).unwrap();
    manage(rig.guid, 0x912);
    let error = receive(&mut tap, 1).unwrap_err();
    eprintln!("pulled out: {error}");
    drop(tap);
    manage(rig.guid, 0x911);
    rig.open(1).unwrap();
}

/// What the system's device manager does, by the rig's driver.
fn manage(guid: Guid, number: u32) {
    let manager = Device::open(r"\\.\Global\faketap").unwrap();
    let name = guid.to_string();
    let wide: Vec<u8> = name
        .encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect();
    let code = (control::GET_MAC & 0xFFFF_0000) | (number << 2);
    manager.control(code, &wide, &mut [0; 8], PATIENCE).unwrap();
}
