//! The loop that every program runs: one thread, no async runtime.
//!
//! A turn: sleep, receive, let the program read its sources, timeouts,
//! events, the program's own deadline, then everything goes out at once.

use std::io;
use std::time::{Duration, Instant};

use crate::endpoint::Transport;
use crate::event::Event;
use crate::reactor::{Interest, Reactor, Ready, Token};

/// The token of the transport's own socket.
pub const TRANSPORT: Token = Token(u32::MAX);
/// How long closes may take to leave once the program has finished.
const LINGER: Duration = Duration::from_millis(300);

/// What a program may use during its turn.
#[derive(Debug)]
pub struct Context<'a> {
    pub transport: &'a mut Transport,
    pub reactor: &'a Reactor,
    /// The time of this turn.
    pub now: Instant,
}

/// A program on the loop. Every method returns quickly and never blocks.
pub trait App {
    /// Something happened on a connection.
    fn transport_event(&mut self, cx: &mut Context<'_>, event: Event);

    /// A source that the program registered is ready. Read a bounded
    /// amount: while more is there, the next turn calls again.
    fn ready(&mut self, cx: &mut Context<'_>, ready: Ready);

    /// The program's own deadline has come.
    fn wakeup(&mut self, cx: &mut Context<'_>);

    /// When [`Self::wakeup`] is due.
    fn next_wakeup(&mut self) -> Option<Instant>;

    /// All input of this turn is in; what is queued now goes out together.
    fn before_flush(&mut self, cx: &mut Context<'_>);

    /// True once the loop is to end. Close connections before.
    fn finished(&self) -> bool;
}

/// Runs a program to its end and lets its closes leave.
///
/// # Errors
/// Where the reactor fails, which it does on programming errors only.
pub fn run(reactor: &mut Reactor, transport: &mut Transport, app: &mut impl App) -> io::Result<()> {
    // A dial before the loop may have moved it to another socket; the reactor
    // never knew the first.
    drop(transport.take_left_behind());
    reactor.register(&*transport, TRANSPORT, Interest::Read)?;
    let outcome = turns(reactor, transport, app);
    reactor.deregister(&*transport)?;
    outcome
}

fn turns(reactor: &mut Reactor, transport: &mut Transport, app: &mut impl App) -> io::Result<()> {
    let mut interest = Interest::Read;
    let mut ready: Vec<Ready> = Vec::new();
    let mut linger: Option<Instant> = None;
    // What was begun before the loop, as the first connection attempt.
    transport.flush(reactor.now());
    loop {
        let wanted = if transport.wants_write() {
            Interest::Both
        } else {
            Interest::Read
        };
        if wanted != interest {
            reactor.modify(&*transport, TRANSPORT, wanted)?;
            interest = wanted;
        }

        let deadline = if transport.has_events() {
            Some(reactor.now())
        } else {
            [transport.next_timeout(), app.next_wakeup(), linger]
                .into_iter()
                .flatten()
                .min()
        };
        ready.clear();
        ready.extend_from_slice(reactor.wait(deadline)?);

        let now = reactor.now();
        let mut cx = Context {
            transport: &mut *transport,
            reactor: &*reactor,
            now,
        };
        for &event in &ready {
            if event.token != TRANSPORT {
                app.ready(&mut cx, event);
            } else if event.readable {
                cx.transport.receive(now);
            }
        }
        cx.transport.handle_timeouts(now);
        while let Some(event) = cx.transport.poll_event() {
            app.transport_event(&mut cx, event);
        }
        if app.next_wakeup().is_some_and(|at| at <= now) {
            app.wakeup(&mut cx);
        }
        app.before_flush(&mut cx);
        // Later than `now` by this turn's work, which timing marks would count
        // as the path's.
        cx.transport.flush(reactor.now());
        if let Some(old) = transport.take_left_behind() {
            reactor.deregister(&old)?;
            reactor.register(&*transport, TRANSPORT, interest)?;
        }

        if app.finished() {
            let until = *linger.get_or_insert(now + LINGER);
            if now >= until || !transport.has_unsent() {
                return Ok(());
            }
        }
    }
}
