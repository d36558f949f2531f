//! TLS 1.3 with client certificates, no tickets, no resumption, no early data.
//!
//! Resumption is off because rustls would show the stored client chain without
//! new proof of possession.

use std::sync::Arc;

use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::Resumption;
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;

use crate::error::TlsSetupError;
use crate::identity::{MemberIdentity, ServerIdentity};
use crate::provider::provider;
use crate::verify::{MemberVerifier, RelayVerifier};

pub(crate) fn server(
    identity: &ServerIdentity,
    alpn: &[u8],
) -> Result<Arc<QuicServerConfig>, TlsSetupError> {
    let config = QuicServerConfig::try_from(server_config(identity, alpn)?)
        .map_err(|_| TlsSetupError::Key)?;
    Ok(Arc::new(config))
}

fn server_config(
    identity: &ServerIdentity,
    alpn: &[u8],
) -> Result<rustls::ServerConfig, TlsSetupError> {
    let provider = provider();
    let mut config = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(MemberVerifier::new(provider)))
        .with_single_cert(identity.chain(), identity.private_key())?;
    config.alpn_protocols = vec![alpn.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(config)
}

pub(crate) fn client(
    identity: Option<&MemberIdentity>,
    verifier: Arc<RelayVerifier>,
    alpn: &[u8],
) -> Result<Arc<QuicClientConfig>, TlsSetupError> {
    let config = QuicClientConfig::try_from(client_config(identity, verifier, alpn)?)
        .map_err(|_| TlsSetupError::Key)?;
    Ok(Arc::new(config))
}

fn client_config(
    identity: Option<&MemberIdentity>,
    verifier: Arc<RelayVerifier>,
    alpn: &[u8],
) -> Result<rustls::ClientConfig, TlsSetupError> {
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(identity) => {
            builder.with_client_auth_cert(identity.chain(), identity.private_key())?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServerTrust;
    use crate::identity::DeviceSeed;

    #[test]
    fn a18_neither_side_is_set_up_for_early_data_or_resumption() {
        let relay = ServerIdentity::development().unwrap();
        let server = server_config(&relay, b"lanparty/1").unwrap();
        assert_eq!(server.max_early_data_size, 0);
        assert_eq!(server.send_tls13_tickets, 0);
        assert!(!server.session_storage.can_cache());
        assert!(!server.send_half_rtt_data);

        let member = MemberIdentity::derive(&DeviceSeed([1; 32]), &[2; 16]).unwrap();
        let trust = ServerTrust::Pin(vec![relay.identity()]);
        let verifier = Arc::new(RelayVerifier::new(provider(), trust).unwrap());
        let client = client_config(Some(&member), verifier, b"lanparty/1").unwrap();
        assert!(!client.enable_early_data);
        assert_eq!(client.alpn_protocols, server.alpn_protocols);
    }
}
