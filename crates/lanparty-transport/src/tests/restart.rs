//! Relays that restart, and connections that notice.

use std::time::Duration;

use bytes::Bytes;

use super::pair::{Pair, Setup, listen};
use crate::{CloseReason, EndpointKeys, FlowKey};

/// Replaces the server by a new process on its port; returns whether the
/// client, which keeps sending, notices within a second.
fn notices_restart(pair: &mut Pair, setup: Setup, keys: EndpointKeys) -> bool {
    let address = pair.server_address();
    pair.kill_server();
    pair.replace_server(listen(&Setup {
        address,
        keys,
        ..setup
    }));
    let conn = pair.client.conn();
    let deadline = pair.now() + Duration::from_secs(1);
    while pair.now() < deadline && pair.client.closed.is_empty() {
        let now = pair.now();
        let frame = Bytes::from_static(&[0; 100]);
        let key = FlowKey::default();
        pair.client.transport.send_datagram(now, conn, key, frame);
        pair.settle(Duration::from_millis(5));
    }
    pair.client
        .closed
        .first()
        .is_some_and(|(_, reason, _)| *reason == CloseReason::Reset)
}

#[test]
fn a_restarted_relay_with_its_keys_tells_old_connections_at_once() {
    let keys = EndpointKeys::from_secret([3; 32]);
    let setup = || Setup {
        keys: keys.clone(),
        ..Setup::default()
    };
    let mut pair = Pair::connected(&setup());
    assert!(notices_restart(&mut pair, setup(), keys.clone()));

    pair.dial();
    pair.until("the client is back", |pair| {
        !pair.server.connected.is_empty()
    });
}

#[test]
fn without_its_keys_it_could_not() {
    let mut pair = Pair::connected(&Setup::default());
    assert!(!notices_restart(
        &mut pair,
        Setup::default(),
        EndpointKeys::random()
    ));
}
