//! Who may connect, and who is told why not.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use lanparty_proto::tls::ALPN;

use super::pair::{Pair, Setup, Side, client, listen, member, server_identity, trust};
use crate::{
    CloseReason, ConnectError, Identity, ListenOptions, ServerIdentity, ServerTrust, Transport,
    TransportLimits, TrustBasis, TrustFailure,
};

fn quick() -> TransportLimits {
    TransportLimits {
        handshake_timeout: Duration::from_millis(400),
        ..TransportLimits::default()
    }
}

#[test]
fn both_sides_see_each_others_identity_and_the_same_exporter() {
    let pair = Pair::connected(&Setup::default());
    let (_, seen_by_server, exporter, remote) = pair.server.connected[0];
    let (_, seen_by_client, other_exporter, _) = pair.client.connected[0];
    assert_eq!(seen_by_server, member().identity());
    assert_eq!(seen_by_client, server_identity().identity());
    assert_eq!(exporter, other_exporter);
    assert_ne!(exporter, [0; 32]);
    assert_eq!(remote.port(), pair.client.transport.local_address().port());

    let other = Pair::connected(&Setup::default());
    assert_ne!(other.server.connected[0].2, exporter);
}

#[test]
fn a_dual_stack_listener_serves_both_families_and_shows_plain_ipv4() {
    let mut pair = Pair::new(&Setup {
        address: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        ..Setup::default()
    });
    let port = pair.server.transport.local_address().port();
    let mut remotes = vec![SocketAddr::from(([127, 0, 0, 1], port))];
    if pair.server.transport.local_address().is_ipv6() {
        remotes.push(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    }
    for (count, remote) in remotes.into_iter().enumerate() {
        pair.dial_name(remote, "localhost");
        pair.until("the server sees it", |pair| {
            pair.server.connected.len() > count
        });
        assert_eq!(pair.server.connected[count].3.ip(), remote.ip());
    }
}

#[test]
fn path_mtu_discovery_reaches_the_bound_of_each_family() {
    for (address, max) in [
        (SocketAddr::from(([127, 0, 0, 1], 0)), 1_472 - 38),
        (SocketAddr::from((Ipv6Addr::LOCALHOST, 0)), 1_452 - 38),
    ] {
        let mut pair = Pair::connected(&Setup {
            address,
            ..Setup::default()
        });
        let (client, server) = (pair.client.conn(), pair.server.conn());
        let full = |side: &Side| match side.transport.udp.may_fragment() {
            true => 1_200 - 38,
            false => max,
        };
        let (clients, servers) = (full(&pair.client), full(&pair.server));
        pair.until("both sides have the full size", |pair| {
            pair.client.transport.max_datagram_size(client) == Some(clients)
                && pair.server.transport.max_datagram_size(server) == Some(servers)
        });
    }
}

#[test]
fn a_pinned_key_is_enough_whatever_the_name() {
    let setup = Setup::default();
    let pin = ServerTrust::Pin(vec![Identity([0; 32]), server_identity().identity()]);
    let mut pair = Pair::of(listen(&setup), client(pin, &setup.client_limits));
    let address = pair.server_address();
    pair.dial_name(address, "any.example");
    pair.until("connected", |pair| !pair.client.connected.is_empty());
}

#[test]
fn a_member_knows_which_key_it_trusted_and_why() {
    let setup = Setup::default();
    let key = server_identity().identity();
    for (trust, basis) in [
        (ServerTrust::Pin(vec![key]), TrustBasis::Pin),
        (trust(), TrustBasis::Certificate),
    ] {
        let mut pair = Pair::of(listen(&setup), client(trust, &setup.client_limits));
        pair.dial();
        pair.until("connected", |pair| !pair.client.connected.is_empty());
        assert_eq!(pair.client.connected[0].1, key);
        assert_eq!(pair.client.transport.trust_basis(), Some(basis));
        assert_eq!(pair.server.transport.trust_basis(), None);
    }
}

#[test]
fn each_fault_of_the_relays_certificate_has_its_own_reason() {
    let stranger = ServerIdentity::development().unwrap();
    let stranger = ServerTrust::certificate(stranger.certificate_der().to_vec());
    for (trust, name, expected) in [
        (
            ServerTrust::Pin(vec![Identity([9; 32])]),
            "localhost",
            TrustFailure::Pin,
        ),
        (trust(), "elsewhere.example", TrustFailure::Name),
        (stranger, "localhost", TrustFailure::Issuer),
    ] {
        let setup = Setup::default();
        let mut pair = Pair::of(listen(&setup), client(trust, &setup.client_limits));
        let address = pair.server_address();
        pair.dial_name(address, name);
        let reason = pair.until_client_closes();
        assert_eq!(reason, CloseReason::Untrusted(expected));
        assert!(reason.is_final());
        assert!(pair.server.connected.is_empty());
        assert!(pair.server.closed.is_empty());
    }
}

#[test]
fn a19_an_expired_certificate_has_its_own_reason_unless_its_key_is_pinned() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    parameters.not_before = rcgen::date_time_ymd(2001, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let certificate = parameters.self_signed(&key).unwrap();
    let listen_expired = || {
        let (chain, key) = (certificate.pem(), key.serialize_pem());
        let identity = ServerIdentity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let pin = identity.identity();
        let options = ListenOptions {
            address: Setup::default().address,
            identity,
            keys: crate::EndpointKeys::random(),
            limits: TransportLimits::default(),
        };
        (Transport::listen(options).unwrap(), pin)
    };
    let limits = TransportLimits::default();
    let (server, pin) = listen_expired();
    let by_file = ServerTrust::certificate(certificate.der().to_vec());
    let mut pair = Pair::of(server, client(by_file, &limits));
    pair.dial();
    assert_eq!(
        pair.until_client_closes(),
        CloseReason::Untrusted(TrustFailure::Validity)
    );
    let (server, _) = listen_expired();
    let mut pair = Pair::of(server, client(ServerTrust::Pin(vec![pin]), &limits));
    pair.dial();
    pair.until("connected", |pair| !pair.client.connected.is_empty());
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let setup = Setup::default();
    let limits = setup.client_limits.clone();
    let bare = Transport::client_as(None, trust(), None, limits, ALPN).unwrap();
    let mut pair = Pair::of(listen(&setup), bare);
    pair.dial();
    let reason = pair.until_client_closes();
    assert!(
        matches!(reason, CloseReason::CertificateRefused(_)),
        "{reason:?}"
    );
    assert!(pair.server.connected.is_empty());
}

#[test]
fn another_major_version_is_told_so() {
    let setup = Setup::default();
    let limits = setup.client_limits.clone();
    let newer =
        Transport::client_as(Some(&member()), trust(), None, limits, b"lanparty/2").unwrap();
    let mut pair = Pair::of(listen(&setup), newer);
    pair.dial();
    assert_eq!(pair.until_client_closes(), CloseReason::VersionMismatch);

    let older = Transport::listen_as(
        ListenOptions {
            address: setup.address,
            identity: server_identity(),
            keys: setup.keys.clone(),
            limits: setup.server_limits.clone(),
        },
        b"lanparty/0",
    )
    .unwrap();
    let mut pair = Pair::of(older, client(trust(), &setup.client_limits));
    pair.dial();
    assert_eq!(pair.until_client_closes(), CloseReason::VersionMismatch);
}

#[test]
fn silence_is_reported_as_unreachable_within_the_handshake_timeout() {
    let hole = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut pair = Pair::of(listen(&Setup::default()), client(trust(), &quick()));
    let begin = pair.now();
    let conn = pair.dial_name(hole.local_addr().unwrap(), "localhost");
    assert_eq!(pair.until_client_closes(), CloseReason::Unreachable);
    assert!(pair.now() - begin >= quick().handshake_timeout);
    assert_eq!(pair.client.transport.max_datagram_size(conn), None);
}

#[test]
fn what_cannot_be_dialled_is_an_error_of_the_call() {
    let mut listener = listen(&Setup::default());
    let mut dialler = client(trust(), &TransportLimits::default());
    let now = crate::reactor::Reactor::new().unwrap().now();
    let somewhere = SocketAddr::from(([127, 0, 0, 1], 443));
    assert!(matches!(
        listener.connect(now, somewhere, "localhost"),
        Err(ConnectError::NotAClient)
    ));
    assert!(matches!(
        dialler.connect(now, somewhere, "not a name"),
        Err(ConnectError::ServerName(_))
    ));
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    assert!(matches!(
        dialler.connect(now, nowhere, "localhost"),
        Err(ConnectError::Address(_))
    ));
}

#[test]
fn a_busy_port_is_named_with_its_remedy() {
    let first = listen(&Setup::default());
    let again = Transport::listen(ListenOptions {
        address: first.local_address(),
        identity: server_identity(),
        keys: crate::EndpointKeys::random(),
        limits: TransportLimits::default(),
    });
    assert!(matches!(again, Err(crate::BindError::AddressInUse(_))));
}
