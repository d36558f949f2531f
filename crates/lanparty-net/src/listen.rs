//! What a relay is told to listen on.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Longer than any listen address.
const MAX_LEN: usize = 64;

/// A UDP address to listen on: `443/udp` or `443` for IPv4 and IPv6 on every
/// interface, or one address such as `0.0.0.0:443/udp` or `[::1]:4433`.
/// Port 0 lets the system choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenAddress {
    /// `None` for every address of both families.
    address: Option<IpAddr>,
    port: u16,
}

/// Why a text is not a listen address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenAddressError {
    #[error("listen on 443/udp, 0.0.0.0:443/udp or [::1]:4433, for example")]
    Syntax,
    #[error("only /udp is possible, because QUIC runs over UDP")]
    Protocol,
    #[error("the port must be a number from 0 to 65535")]
    Port,
    #[error("add a port to the address, for example :443")]
    PortMissing,
}

impl ListenAddress {
    /// The address to bind.
    #[must_use]
    pub fn socket_addr(self) -> SocketAddr {
        let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        SocketAddr::new(self.address.unwrap_or(any), self.port)
    }

    /// Whether the IPv6 socket must take IPv4 too (IPV6_V6ONLY off).
    #[must_use]
    pub const fn is_dual_stack(self) -> bool {
        self.address.is_none()
    }
}

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, ListenAddressError> {
        if text.len() > MAX_LEN {
            return Err(ListenAddressError::Syntax);
        }
        let address = match text.split_once('/') {
            None => text,
            Some((address, "udp")) => address,
            Some(_) => return Err(ListenAddressError::Protocol),
        };
        if !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_digit()) {
            let port = address.parse().map_err(|_| ListenAddressError::Port)?;
            return Ok(Self {
                address: None,
                port,
            });
        }
        if address.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return Err(ListenAddressError::PortMissing);
        }
        if address.contains('%') {
            return Err(ListenAddressError::Syntax);
        }
        let socket: SocketAddr = address.parse().map_err(|_| ListenAddressError::Syntax)?;
        Ok(Self {
            address: Some(socket.ip()),
            port: socket.port(),
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            None => write!(f, "{}/udp", self.port),
            Some(address) => write!(f, "{}/udp", SocketAddr::new(address, self.port)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_documented_spelling_is_understood() {
        for (text, socket, dual_stack, printed) in [
            ("443/udp", "[::]:443", true, "443/udp"),
            ("4433", "[::]:4433", true, "4433/udp"),
            ("0/udp", "[::]:0", true, "0/udp"),
            ("0.0.0.0:443/udp", "0.0.0.0:443", false, "0.0.0.0:443/udp"),
            ("[::1]:4433", "[::1]:4433", false, "[::1]:4433/udp"),
            ("[::]:443", "[::]:443", false, "[::]:443/udp"),
        ] {
            let listen: ListenAddress = text.parse().unwrap();
            assert_eq!(listen.socket_addr(), socket.parse().unwrap(), "{text}");
            assert_eq!(listen.is_dual_stack(), dual_stack, "{text}");
            assert_eq!(listen.to_string(), printed, "{text}");
        }
    }

    #[test]
    fn each_mistake_has_its_own_sentence() {
        use ListenAddressError as E;
        for (text, error) in [
            ("", E::Syntax),
            ("/udp", E::Syntax),
            ("443/tcp", E::Protocol),
            ("443/UDP", E::Protocol),
            ("65536/udp", E::Port),
            ("0.0.0.0", E::PortMissing),
            ("[::1]/udp", E::PortMissing),
            ("::1", E::PortMissing),
            ("relay.example.org:443", E::Syntax),
            ("[fe80::1%3]:443", E::Syntax),
            ("+443", E::Syntax),
        ] {
            assert_eq!(text.parse::<ListenAddress>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_parsing_gives_the_same_address(
            address in any::<Option<IpAddr>>(),
            port: u16,
        ) {
            let listen = ListenAddress { address, port };
            prop_assert_eq!(listen.to_string().parse(), Ok(listen));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,80}|[\\[\\]:%./0-9a-fudp-]{0,40}") {
            if let Ok(listen) = text.parse::<ListenAddress>() {
                prop_assert_eq!(listen.to_string().parse(), Ok(listen));
            }
        }
    }
}
