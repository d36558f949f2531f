//! What a member is given to dial.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::dns::{DnsName, DnsNameError};
use crate::{DEFAULT_PORT, ResolveError, resolve};

/// Longer than any endpoint: a name, its final dot, a colon and a port.
const MAX_LEN: usize = 260;

/// A relay: a host and a UDP port.
///
/// Written as `relay.example.org`, `relay.example.org:4433`, `192.0.2.1`,
/// `192.0.2.1:4433`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:4433`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayEndpoint {
    host: Host,
    port: u16,
}

/// The host of a relay.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    Name(DnsName),
    /// Never an IPv4-mapped IPv6 address.
    Address(IpAddr),
}

/// Why a text is not a relay endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("the relay address is longer than any address can be")]
    TooLong,
    #[error("give the relay as host or host:port, without a scheme such as https://")]
    Scheme,
    #[error("a relay has only a host and a port, no path")]
    Path,
    #[error("the port must be a number from 1 to 65535")]
    Port,
    #[error("write an IPv6 address with a port as [2001:db8::1]:443")]
    Brackets,
    #[error("leave the interface (after '%') out of the IPv6 address")]
    Zone,
    #[error("this IP address names no single host")]
    NoHost,
    #[error(transparent)]
    Name(#[from] DnsNameError),
}

impl RelayEndpoint {
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The name or address that the relay's certificate must carry, unless
    /// the user gives another with `--server-name`.
    #[must_use]
    pub fn server_name(&self) -> String {
        match &self.host {
            Host::Name(name) => name.to_string(),
            Host::Address(address) => address.to_string(),
        }
    }

    /// The relay's addresses, best first. Asks the system's resolver and may
    /// block for seconds, so programs call it before the tunnel interface
    /// comes up: the party's LAN must have no say in where the relay is.
    ///
    /// # Errors
    /// [`ResolveError`] where there is no usable address.
    pub fn resolve(&self) -> Result<Vec<std::net::SocketAddr>, ResolveError> {
        match &self.host {
            Host::Address(address) => Ok(vec![(*address, self.port).into()]),
            Host::Name(name) => resolve::lookup(name, self.port),
        }
    }
}

impl FromStr for RelayEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if text.len() > MAX_LEN {
            return Err(EndpointError::TooLong);
        }
        if text.contains("://") {
            return Err(EndpointError::Scheme);
        }
        if text.contains('/') {
            return Err(EndpointError::Path);
        }
        if let Some(bracketed) = text.strip_prefix('[') {
            let (address, rest) = bracketed.split_once(']').ok_or(EndpointError::Brackets)?;
            let port = match rest.strip_prefix(':') {
                Some(port) => parse_port(port)?,
                None if rest.is_empty() => DEFAULT_PORT,
                None => return Err(EndpointError::Brackets),
            };
            return Self::from_address(parse_ipv6(address)?.into(), port);
        }
        match text.split_once(':') {
            None => Self::from_host(text, DEFAULT_PORT),
            Some((_, rest)) if rest.contains(':') => {
                Self::from_address(parse_ipv6(text)?.into(), DEFAULT_PORT)
            }
            Some((host, port)) => Self::from_host(host, parse_port(port)?),
        }
    }
}

impl RelayEndpoint {
    fn from_host(host: &str, port: u16) -> Result<Self, EndpointError> {
        match host.parse::<Ipv4Addr>() {
            Ok(address) => Self::from_address(address.into(), port),
            Err(_) => Ok(Self {
                host: Host::Name(host.parse()?),
                port,
            }),
        }
    }

    fn from_address(address: IpAddr, port: u16) -> Result<Self, EndpointError> {
        let address = address.to_canonical();
        if !resolve::is_host(address) {
            return Err(EndpointError::NoHost);
        }
        Ok(Self {
            host: Host::Address(address),
            port,
        })
    }
}

fn parse_ipv6(text: &str) -> Result<Ipv6Addr, EndpointError> {
    if text.contains('%') {
        return Err(EndpointError::Zone);
    }
    text.parse().map_err(|_| EndpointError::Brackets)
}

fn parse_port(text: &str) -> Result<u16, EndpointError> {
    // Without the check `+443` and `00443` would pass.
    if text.is_empty() || text.starts_with('0') || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(EndpointError::Port);
    }
    text.parse().map_err(|_| EndpointError::Port)
}

/// Always with the port, and with brackets around IPv6.
impl fmt::Display for RelayEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(f, "{name}:{}", self.port),
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}:{}", self.port),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_spelling_is_understood() {
        for (text, printed) in [
            ("relay.example.org", "relay.example.org:443"),
            ("Relay.Example.org.:4433", "relay.example.org:4433"),
            ("192.0.2.1", "192.0.2.1:443"),
            ("192.0.2.1:4433", "192.0.2.1:4433"),
            ("2001:db8::1", "[2001:db8::1]:443"),
            ("[2001:db8::1]", "[2001:db8::1]:443"),
            ("[2001:db8::1]:4433", "[2001:db8::1]:4433"),
            ("::1", "[::1]:443"),
            ("[::ffff:192.0.2.1]:65535", "192.0.2.1:65535"),
        ] {
            assert_eq!(
                text.parse::<RelayEndpoint>().unwrap().to_string(),
                printed,
                "{text}"
            );
        }
    }

    #[test]
    fn each_mistake_has_its_own_sentence() {
        use EndpointError as E;
        for (text, error) in [
            ("", E::Name(DnsNameError::Empty)),
            (":443", E::Name(DnsNameError::Empty)),
            ("https://relay.example.org", E::Scheme),
            ("relay.example.org/room", E::Path),
            ("relay.example.org:", E::Port),
            ("relay.example.org:0", E::Port),
            ("relay.example.org:65536", E::Port),
            ("relay.example.org:+443", E::Port),
            ("relay.example.org: 443", E::Port),
            ("relay.example.org:0443", E::Port),
            ("[2001:db8::1", E::Brackets),
            ("[2001:db8::1]443", E::Brackets),
            ("[192.0.2.1]:443", E::Brackets),
            ("2001:db8::1:", E::Brackets),
            ("fe80::1%eth0", E::Zone),
            ("0.0.0.0", E::NoHost),
            ("[::]:443", E::NoHost),
            ("224.0.0.1", E::NoHost),
            ("[ff02::1]", E::NoHost),
            ("255.255.255.255", E::NoHost),
            ("192.0.2", E::Name(DnsNameError::Number)),
            ("192.0.2.256", E::Name(DnsNameError::Number)),
            (" relay", E::Name(DnsNameError::Character)),
            ("user@relay", E::Name(DnsNameError::Character)),
        ] {
            assert_eq!(text.parse::<RelayEndpoint>(), Err(error), "{text}");
        }
        assert_eq!("a".repeat(261).parse::<RelayEndpoint>(), Err(E::TooLong));
    }

    #[test]
    fn certificates_are_checked_against_the_host_alone() {
        for (text, name) in [
            ("Relay.example.org.:4433", "relay.example.org"),
            ("192.0.2.1:4433", "192.0.2.1"),
            ("[2001:db8::1]:4433", "2001:db8::1"),
        ] {
            let endpoint: RelayEndpoint = text.parse().unwrap();
            assert_eq!(endpoint.server_name(), name);
        }
    }

    #[test]
    fn addresses_resolve_to_themselves_without_a_resolver() {
        let endpoint: RelayEndpoint = "[2001:db8::1]:4433".parse().unwrap();
        assert_eq!(
            endpoint.resolve().unwrap(),
            ["[2001:db8::1]:4433".parse().unwrap()]
        );
    }
}

#[cfg(test)]
mod proptests {
    use super::*;
    use proptest::prelude::*;

    fn endpoint() -> impl Strategy<Value = RelayEndpoint> {
        let host = prop_oneof![
            "([a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?\\.){0,3}[a-z][a-z0-9]{0,10}"
                .prop_map(|name| Host::Name(name.parse().unwrap())),
            any::<IpAddr>()
                .prop_map(|address| address.to_canonical())
                .prop_filter("names a host", |&address| resolve::is_host(address))
                .prop_map(Host::Address),
        ];
        (host, 1..=u16::MAX).prop_map(|(host, port)| RelayEndpoint { host, port })
    }

    proptest! {
        #[test]
        fn printing_and_parsing_gives_the_same_endpoint(endpoint in endpoint()) {
            prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,300}|[\\[\\]:%./0-9a-fx-]{0,60}") {
            if let Ok(endpoint) = text.parse::<RelayEndpoint>() {
                prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
            }
        }
    }
}
