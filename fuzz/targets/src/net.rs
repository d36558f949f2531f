//! What users paste as an address.

use lanparty_net::dns::DnsName;
use lanparty_net::endpoint::RelayEndpoint;
use lanparty_net::listen::ListenAddress;

/// A text: what parses is printed so that it parses to the same.
pub fn endpoint(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(endpoint) = text.parse::<RelayEndpoint>() {
        assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
    }
    if let Ok(listen) = text.parse::<ListenAddress>() {
        assert_eq!(listen.to_string().parse(), Ok(listen));
    }
    if let Ok(name) = text.parse::<DnsName>() {
        assert_eq!(name.to_string().parse(), Ok(name));
    }
}
