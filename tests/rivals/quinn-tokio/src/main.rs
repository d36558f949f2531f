//! `quinn-tokio ADDRESS CERTIFICATE.der`: forwards the datagrams of each
//! connection to the other of its pair, as a first program with quinn would,
//! with the same cipher, MTU and buffers as softlan-vpn's relay.

#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, MtuDiscoveryConfig, ServerConfig, TransportConfig};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

const BUFFER: usize = 8 * 1_024 * 1_024;

// One thread: it is given one core, and work that moves between threads costs.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address: SocketAddr = arguments.next().context("an address")?.parse()?;
    let certificate_file = arguments.next().context("a file for the certificate")?;
    let endpoint = Endpoint::server(config(&certificate_file)?, address)?;
    println!("listening");
    loop {
        let first = next(&endpoint).await?;
        let second = next(&endpoint).await?;
        tokio::spawn(forward(first.clone(), second.clone()));
        tokio::spawn(forward(second, first));
    }
}

async fn next(endpoint: &Endpoint) -> Result<Connection> {
    let incoming = endpoint.accept().await.context("the endpoint is closed")?;
    Ok(incoming.await?)
}

async fn forward(from: Connection, to: Connection) -> Result<()> {
    loop {
        let datagram = from.read_datagram().await?;
        // Too long for the path now, or for good: lost, as on a line.
        let _lost = to.send_datagram(datagram);
    }
}

fn config(certificate_file: &str) -> Result<ServerConfig> {
    let made = rcgen::generate_simple_self_signed(["lanparty-relay.local".to_owned()])?;
    std::fs::write(certificate_file, made.cert.der())?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    tls.alpn_protocols = vec![b"lanparty/1".to_vec()];

    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(1_472);
    let mut transport = TransportConfig::default();
    transport
        .mtu_discovery_config(Some(discovery))
        .datagram_receive_buffer_size(Some(BUFFER))
        .datagram_send_buffer_size(BUFFER);
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport));
    Ok(config)
}
