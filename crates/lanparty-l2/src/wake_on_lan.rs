//! The magic packet of Wake-on-LAN in its EtherType 0x0842 form.

use crate::read;

/// Six 0xFF, then the sleeper's address sixteen times (AMD publication 20213).
const MAGIC_LEN: usize = 6 + 16 * 6;
/// A SecureOn password follows in 4 or 6 bytes.
const MAX_PASSWORD_LEN: usize = 6;

/// True for a magic packet at the start of the payload and nothing behind it
/// but a password. Strict, so that the EtherType cannot carry other things.
pub(crate) fn is_magic(payload: &[u8]) -> bool {
    let Some(magic) = payload.get(..MAGIC_LEN) else {
        return false;
    };
    let Some(sleeper) = read::mac_at(magic, 6) else {
        return false;
    };
    let (addresses, _) = magic.as_chunks::<6>();
    let mut addresses = addresses.iter();
    addresses.next() == Some(&[0xFF; 6])
        && addresses.all(|address| *address == sleeper.octets())
        && payload.len() <= MAGIC_LEN.saturating_add(MAX_PASSWORD_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn magic() -> Vec<u8> {
        let mut packet = vec![0xFF; 6];
        for _ in 0..16 {
            packet.extend([0x00, 0x1b, 0x21, 1, 2, 3]);
        }
        packet
    }

    #[test]
    fn a_magic_packet_passes_with_and_without_a_password() {
        for password in [0, 4, 6] {
            let mut packet = magic();
            packet.resize(packet.len() + password, 9);
            assert!(is_magic(&packet), "{password}");
        }
    }

    #[test]
    fn cargo_and_broken_repetitions_are_refused() {
        let mut cargo = magic();
        cargo.resize(102 + 7, 0);
        assert!(!is_magic(&cargo));
        for at in [0, 5, 12, 101] {
            let mut broken = magic();
            broken[at] ^= 1;
            assert!(!is_magic(&broken), "byte {at}");
        }
        assert!(!is_magic(&magic()[..101]));
    }
}
