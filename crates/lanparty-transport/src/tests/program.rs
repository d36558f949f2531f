//! Whole programs on the loop, one on each thread.

use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::pair::{Setup, client, listen, trust};
use super::wire::{Wire, wire};
use crate::reactor::{Interest, Reactor, Ready, Token};
use crate::run::{App, Context, run};
use crate::{CloseReason, ConnId, Event, FlowKey};

/// Echoes datagrams and control bytes; ends when its client is gone.
#[derive(Default)]
struct Echo {
    closed: Option<CloseReason>,
}

impl App for Echo {
    fn transport_event(&mut self, cx: &mut Context<'_>, event: Event) {
        let transport = &mut *cx.transport;
        match event {
            Event::Connected { .. } => {}
            Event::Control { conn, bytes } => transport.send_control(conn, bytes).unwrap(),
            Event::Datagram { conn, bytes } => {
                transport.send_datagram(cx.now, conn, FlowKey::default(), bytes);
            }
            Event::Closed { reason, .. } => self.closed = Some(reason),
        }
    }

    fn ready(&mut self, _cx: &mut Context<'_>, ready: Ready) {
        panic!("{ready:?} was never registered");
    }

    fn wakeup(&mut self, _cx: &mut Context<'_>) {}

    fn next_wakeup(&mut self) -> Option<Instant> {
        None
    }

    fn before_flush(&mut self, _cx: &mut Context<'_>) {}

    fn finished(&self) -> bool {
        self.closed.is_some()
    }
}

const LINES: Token = Token(1);

/// Sends what it reads from a source as datagrams, again until it comes back,
/// pings by its own timer, moves to another socket on the way, and leaves
/// after enough echoes.
struct Pinger {
    conn: ConnId,
    lines: Wire,
    line: Option<Bytes>,
    next_ping: Option<Instant>,
    echoed_line: Option<Bytes>,
    pings: u32,
    control: Vec<u8>,
    is_done: bool,
}

impl App for Pinger {
    fn transport_event(&mut self, cx: &mut Context<'_>, event: Event) {
        match event {
            Event::Connected { conn, .. } => {
                let hello = Bytes::from_static(b"hello");
                cx.transport.send_control(conn, hello).unwrap();
                self.next_ping = Some(cx.now);
            }
            Event::Control { bytes, .. } => self.control.extend_from_slice(&bytes),
            Event::Datagram { bytes, .. } if &bytes[..] == b"ping" => {
                self.pings += 1;
                if self.pings == 3 {
                    // Twice in one turn: the loop knows the first socket only.
                    cx.transport.rebind(cx.now, None).unwrap();
                    cx.transport.rebind(cx.now, None).unwrap();
                }
            }
            Event::Datagram { bytes, .. } => self.echoed_line = Some(bytes),
            Event::Closed { reason, .. } => assert_eq!(reason, CloseReason::Local),
        }
        let is_heard = self.echoed_line.as_deref() == Some(b"a line");
        if self.pings >= 5 && self.control == b"hello" && is_heard {
            self.is_done = true;
            cx.transport.close(cx.now, self.conn, 42, "thank you");
            cx.transport.rebind(cx.now, None).unwrap();
        }
    }

    fn ready(&mut self, cx: &mut Context<'_>, ready: Ready) {
        assert_eq!(ready.token, LINES);
        if cx.transport.max_datagram_size(self.conn).is_none() {
            return;
        }
        let Some(line) = self.lines.read() else {
            return;
        };
        self.line = Some(line.into());
        cx.reactor.deregister(&self.lines).unwrap();
    }

    fn wakeup(&mut self, cx: &mut Context<'_>) {
        self.next_ping = Some(cx.now + Duration::from_micros(700));
        // A move loses what was on its way to the old socket.
        let line = self.line.clone().filter(|_| self.echoed_line.is_none());
        for bytes in line.into_iter().chain([Bytes::from_static(b"ping")]) {
            cx.transport
                .send_datagram(cx.now, self.conn, FlowKey::default(), bytes);
        }
    }

    fn next_wakeup(&mut self) -> Option<Instant> {
        self.next_ping
    }

    fn before_flush(&mut self, _cx: &mut Context<'_>) {}

    fn finished(&self) -> bool {
        self.is_done
    }
}

#[test]
fn two_programs_talk_and_the_last_close_arrives() {
    let setup = Setup::default();
    let mut server = listen(&setup);
    let address = server.local_address();
    let echo = thread::spawn(move || {
        let mut echo = Echo::default();
        run(&mut Reactor::new().unwrap(), &mut server, &mut echo).unwrap();
        echo.closed
    });

    let mut reactor = Reactor::new().unwrap();
    let mut dialler = client(trust(), &setup.client_limits);
    let now = reactor.now();
    let (lines, mut typist) = wire();
    reactor.register(&lines, LINES, Interest::Read).unwrap();
    typist.write(b"a line");
    // As a program does that knows its way only when it dials.
    dialler.rebind(now, None).unwrap();
    let mut pinger = Pinger {
        conn: dialler.connect(now, address, "localhost").unwrap(),
        lines,
        line: None,
        next_ping: None,
        echoed_line: None,
        pings: 0,
        control: Vec::new(),
        is_done: false,
    };
    run(&mut reactor, &mut dialler, &mut pinger).unwrap();
    assert!(pinger.is_done);
    drop(dialler);
    assert_eq!(
        echo.join().unwrap(),
        Some(CloseReason::Application {
            code: 42,
            message: "thank you".to_owned()
        })
    );
}

/// Connects and does nothing.
struct Idle {
    until: Instant,
    turns: u32,
    is_done: bool,
}

impl App for Idle {
    fn transport_event(&mut self, _cx: &mut Context<'_>, _event: Event) {}

    fn ready(&mut self, _cx: &mut Context<'_>, _ready: Ready) {}

    fn wakeup(&mut self, cx: &mut Context<'_>) {
        self.is_done = true;
        cx.transport.close_all(cx.now, 0, "");
    }

    fn next_wakeup(&mut self) -> Option<Instant> {
        (!self.is_done).then_some(self.until)
    }

    fn before_flush(&mut self, _cx: &mut Context<'_>) {
        self.turns += 1;
    }

    fn finished(&self) -> bool {
        self.is_done
    }
}

#[test]
fn an_idle_connection_costs_nothing() {
    let setup = Setup::default();
    let mut server = listen(&setup);
    let address = server.local_address();
    let echo = thread::spawn(move || {
        let mut echo = Echo::default();
        run(&mut Reactor::new().unwrap(), &mut server, &mut echo).unwrap();
    });
    let mut reactor = Reactor::new().unwrap();
    let mut dialler = client(trust(), &setup.client_limits);
    let now = reactor.now();
    dialler.connect(now, address, "localhost").unwrap();
    let mut idle = Idle {
        until: now + Duration::from_millis(1_500),
        turns: 0,
        is_done: false,
    };
    run(&mut reactor, &mut dialler, &mut idle).unwrap();
    echo.join().unwrap();
    // The handshake, path MTU discovery and a few timers.
    assert!(idle.turns < 100, "{} turns", idle.turns);
}
