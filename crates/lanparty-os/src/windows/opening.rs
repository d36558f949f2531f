//! What an opening in the firewall lets in.

/// TCP and UDP.
pub const PROTOCOLS: [u8; 2] = [6, 17];

/// Where games listen. Not the system's own services below 1024 (files,
/// printers, remote procedure calls), remote desktop (3389) and remote
/// management (5985, 5986): what the firewall does with those stays as it is.
pub const PORTS: [(u16, u16); 3] = [(1_024, 3_388), (3_390, 5_984), (5_987, u16::MAX)];

/// The question of a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    pub protocol: u8,
    pub kind: u16,
}

/// For each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echoes {
    pub v4: Echo,
    pub v6: Echo,
}

/// ICMP (RFC 792) and ICMPv6 (RFC 4443).
pub const ECHO: Echoes = Echoes {
    v4: Echo {
        protocol: 1,
        kind: 8,
    },
    v6: Echo {
        protocol: 58,
        kind: 128,
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_control_and_file_shares_stay_as_they_are_and_games_are_let_in() {
        let is_open = |port: u16| {
            PORTS
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&port))
        };
        for closed in [22, 135, 137, 139, 443, 445, 1_023, 3_389, 5_985, 5_986] {
            assert!(!is_open(closed), "{closed}");
        }
        for open in [1_024, 2_302, 6_112, 7_777, 25_565, 27_015, 65_535] {
            assert!(is_open(open), "{open}");
        }
    }
}
