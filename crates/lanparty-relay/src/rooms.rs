//! `lanparty-relay rooms`: what the running relay says about its rooms.

use std::io::{self, Write};
use std::path::PathBuf;

use lanparty_ctrl::Mode;
use lanparty_os::answer_socket::{self, AskError};
use lanparty_relay_core::{MemberSnapshot, RoomSnapshot, RoomsSnapshot};

use crate::cli::Rooms;
use crate::failure::Failure;
use crate::secrets::find_socket;

pub(crate) fn show(options: &Rooms) -> Result<(), Failure> {
    let socket = find_socket(options.state.state_dir.as_deref())?;
    let snapshot = answer_socket::ask(&socket).map_err(|error| no_answer(socket, error))?;
    let mut out = io::stdout().lock();
    let written = if options.json {
        serde_json::to_writer_pretty(&mut out, &snapshot)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        write_table(&mut out, &snapshot)
    };
    match written {
        // The reader of a pipe has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Failure::Output),
    }
}

fn no_answer(path: PathBuf, error: AskError) -> Failure {
    match error {
        AskError::NoAnswer(source) => Failure::NoRelay { path, source },
        AskError::Unreadable(error) => Failure::Answer(error),
    }
}

fn write_table(out: &mut impl Write, snapshot: &RoomsSnapshot) -> io::Result<()> {
    let relay = &snapshot.relay;
    writeln!(
        out,
        "{} room(s), {} connection(s), up for {} s, {} datagrams in, {} dropped",
        snapshot.rooms.len(),
        relay.connections,
        relay.uptime_s,
        relay.counters.datagrams_in,
        relay.counters.drops.total(),
    )?;
    snapshot
        .rooms
        .iter()
        .try_for_each(|room| write_room(out, room))
}

fn write_room(out: &mut impl Write, room: &RoomSnapshot) -> io::Result<()> {
    let mode = match room.mode {
        Mode::Lan => "LAN",
        Mode::Players => "players only",
    };
    let kind = if room.keyed { "with a key" } else { "open" };
    writeln!(
        out,
        "\n{}  {kind}, {mode}, adapter MTU {}",
        room.room, room.tap_mtu
    )?;
    writeln!(
        out,
        "  {:>5}  {:7}  {:17}  {:>9}  {:>9}  {:>9}  {:>8}  name",
        "peer", "role", "mac", "seen", "rtt", "in", "dropped"
    )?;
    for member in &room.members {
        write_member(out, member)?;
    }
    if room.counters.drops.total() > 0 {
        writeln!(out, "  drops: {}", room.counters.drops)?;
    }
    Ok(())
}

fn write_member(out: &mut impl Write, member: &MemberSnapshot) -> io::Result<()> {
    let role = member.role.word();
    let mac = member
        .mac
        .map_or_else(|| "-".to_owned(), |mac| mac.to_string());
    let rtt = member.link.as_ref().map_or_else(
        || "-".to_owned(),
        |link| format!("{}.{} ms", link.rtt_us / 1_000, link.rtt_us % 1_000 / 100),
    );
    writeln!(
        out,
        "  {:>5}  {role:7}  {mac:17}  {:>6} ms  {rtt:>9}  {:>9}  {:>8}  {}",
        member.peer,
        member.last_seen_ms,
        member.counters.datagrams_in,
        member.counters.drops.total(),
        member.name,
    )
}
