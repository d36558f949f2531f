//! A game's stream: a small datagram every so often, echoed by the other side,
//! and when each was where.
//!
//! Everything in a lab shares one clock, so the ways there and back are known
//! each by itself. Datagrams leave by the timetable whether or not answers
//! come, so a stall is seen by all that would have been sent in it; a send that
//! would block is a loss; and the threads go before all others, so that what is
//! measured is the path and not this program's turn on the processor.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::hurry::hurry;
use crate::node::Node;
use crate::wait;

/// What a round of a shooter sends, about.
pub const PAYLOAD: usize = 64;
/// 66 a second, the usual tick rate.
pub const INTERVAL: Duration = Duration::from_millis(15);
const PORT: u16 = 5_215;
/// Until the last answers are back; longer than any queue of the lab.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time for every thread to be in place.
const READY: Duration = Duration::from_millis(300);
/// How often the threads look whether it is over.
const GLANCE: Duration = Duration::from_millis(50);

/// One datagram's way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trip {
    /// Since the first one.
    pub sent: Duration,
    pub there: Option<Duration>,
    /// None where there is no answer.
    pub round: Option<Duration>,
}

/// A stream that is over.
#[derive(Clone, Debug)]
pub struct Flow {
    trips: Vec<Trip>,
    lateness: Duration,
}

impl Flow {
    /// Sends from one host to another, at the address `target`, for `time`.
    ///
    /// # Errors
    /// When not one answer comes.
    pub fn run(from: &Node, to: &Node, target: Ipv4Addr, time: Duration) -> Result<Self> {
        let ear = to.inside(|| Ok(UdpSocket::bind((target, PORT))?))?;
        let mouth = from.inside(|| {
            let mouth = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            mouth.connect((target, PORT))?;
            Ok(mouth)
        })?;
        let answers_to = mouth.try_clone()?;
        for socket in [&ear, &answers_to] {
            socket.set_read_timeout(Some(GLANCE))?;
        }
        let over = AtomicBool::new(false);
        let begin = wait::now() + READY;
        let (departures, answers) = thread::scope(|scope| {
            let echo = scope.spawn(|| answer(&ear, begin, &over));
            let hear = scope.spawn(|| listen(&answers_to, begin, &over));
            let speak = scope.spawn(|| speak(&mouth, begin, time));
            let departures = speak.join();
            thread::sleep(PATIENCE);
            over.store(true, Ordering::Relaxed);
            let answers = hear.join();
            let _panicked = echo.join();
            (departures, answers)
        });
        let (departures, lateness) = departures.ok().context("the sender panicked")?;
        let mut trips: Vec<Trip> = departures.into_iter().map(departure).collect();
        for answer in answers.ok().context("the listener panicked")? {
            answer.note(&mut trips);
        }
        let flow = Self { trips, lateness };
        ensure!(flow.loss() < 1.0, "no answer from {target}");
        Ok(flow)
    }

    #[must_use]
    pub fn trips(&self) -> &[Trip] {
        &self.trips
    }

    /// The share of datagrams without an answer, 0 to 1.
    #[must_use]
    pub fn loss(&self) -> f64 {
        let lost = self.trips.iter().filter(|trip| trip.round.is_none());
        as_f64(lost.count()) / as_f64(self.trips.len().max(1))
    }

    /// The round trip that `percent` of the answers did not exceed.
    #[must_use]
    pub fn round(&self, percent: usize) -> Duration {
        percentile(percent, self.trips.iter().filter_map(|trip| trip.round))
    }

    /// The same of the way there alone.
    #[must_use]
    pub fn there(&self, percent: usize) -> Duration {
        percentile(percent, self.trips.iter().filter_map(|trip| trip.there))
    }

    /// The same of the way back alone.
    #[must_use]
    pub fn back(&self, percent: usize) -> Duration {
        let back = |trip: &Trip| Some(trip.round?.saturating_sub(trip.there?));
        percentile(percent, self.trips.iter().filter_map(back))
    }

    /// By how much the timetable was missed at worst: a figure of the machine.
    #[must_use]
    pub const fn lateness(&self) -> Duration {
        self.lateness
    }
}

fn percentile(percent: usize, times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).copied().unwrap_or_default()
}

fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

const fn departure(sent: Duration) -> Trip {
    Trip {
        sent,
        there: None,
        round: None,
    }
}

/// Sends by the timetable; returns when each really left, and the worst delay.
fn speak(mouth: &UdpSocket, begin: Instant, time: Duration) -> (Vec<Duration>, Duration) {
    hurry();
    let mut departures = Vec::new();
    let mut lateness = Duration::ZERO;
    let mut due = Duration::ZERO;
    while due < time {
        thread::sleep((begin + due).saturating_duration_since(wait::now()));
        let sent = wait::now().saturating_duration_since(begin);
        lateness = lateness.max(sent.saturating_sub(due));
        let number = u32::try_from(departures.len()).unwrap_or(u32::MAX);
        let call = Call { number, sent };
        // What does not fit now would be late, which in a game is lost.
        let _lost = rustix::net::send(mouth, &call.encode(), rustix::net::SendFlags::DONTWAIT);
        departures.push(sent);
        due += INTERVAL;
    }
    (departures, lateness)
}

/// Sends everything back with the time of its arrival.
fn answer(ear: &UdpSocket, begin: Instant, over: &AtomicBool) {
    hurry();
    let mut buffer = [0; PAYLOAD];
    while !over.load(Ordering::Relaxed) {
        let Ok((PAYLOAD, from)) = ear.recv_from(&mut buffer) else {
            continue;
        };
        let arrived = wait::now().saturating_duration_since(begin);
        write_time(&mut buffer, ARRIVED, arrived);
        let _unreachable = ear.send_to(&buffer, from);
    }
}

fn listen(socket: &UdpSocket, begin: Instant, over: &AtomicBool) -> Vec<Answer> {
    hurry();
    let mut answers = Vec::new();
    let mut buffer = [0; PAYLOAD];
    while !over.load(Ordering::Relaxed) {
        if let Ok(PAYLOAD) = socket.recv(&mut buffer) {
            let back = wait::now().saturating_duration_since(begin);
            answers.push(Answer {
                number: read(&buffer, NUMBER),
                there: Duration::from_nanos(read(&buffer, ARRIVED)),
                back,
            });
        }
    }
    answers
}

const NUMBER: usize = 0;
const SENT: usize = 8;
const ARRIVED: usize = 16;

struct Call {
    number: u32,
    sent: Duration,
}

impl Call {
    fn encode(&self) -> [u8; PAYLOAD] {
        let mut bytes = [0; PAYLOAD];
        write(&mut bytes, NUMBER, u64::from(self.number));
        write_time(&mut bytes, SENT, self.sent);
        bytes
    }
}

struct Answer {
    number: u64,
    /// Both since the first datagram.
    there: Duration,
    back: Duration,
}

impl Answer {
    fn note(&self, trips: &mut [Trip]) {
        let number = usize::try_from(self.number).unwrap_or(usize::MAX);
        let Some(trip) = trips.get_mut(number) else {
            return;
        };
        // A duplicate changes nothing: the game has the first one already.
        if trip.round.is_none() {
            trip.there = Some(self.there.saturating_sub(trip.sent));
            trip.round = Some(self.back.saturating_sub(trip.sent));
        }
    }
}

fn write(bytes: &mut [u8], at: usize, number: u64) {
    if let Some(field) = bytes.get_mut(at..at + 8) {
        field.copy_from_slice(&number.to_be_bytes());
    }
}

fn write_time(bytes: &mut [u8], at: usize, time: Duration) {
    write(
        bytes,
        at,
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
    );
}

fn read(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..at + 8).and_then(|it| it.try_into().ok());
    field.map_or(u64::MAX, u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(number: u64, there: u64, back: u64) -> Answer {
        Answer {
            number,
            there: Duration::from_millis(there),
            back: Duration::from_millis(back),
        }
    }

    #[test]
    fn each_way_has_its_own_time() {
        let mut trips = vec![departure(Duration::from_millis(15)); 2];
        answered(1, 18, 22).note(&mut trips);
        answered(1, 30, 40).note(&mut trips);
        answered(7, 1, 1).note(&mut trips);
        let flow = Flow {
            trips,
            lateness: Duration::ZERO,
        };
        assert_eq!(flow.round(99), Duration::from_millis(7));
        assert_eq!(flow.there(50), Duration::from_millis(3));
        assert_eq!(flow.back(50), Duration::from_millis(4));
        assert!((flow.loss() - 0.5).abs() < 1e-9);
    }
}
