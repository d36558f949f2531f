//! Who is at the other end of a Unix socket.

use std::io;
use std::os::fd::AsFd;

/// True for the user who runs this program, and for root.
///
/// # Errors
/// When the kernel does not tell, as for a socket that is not a Unix socket.
pub fn is_trusted<F: AsFd>(socket: F) -> io::Result<bool> {
    let peer = rustix::net::sockopt::socket_peercred(socket)?;
    Ok(trusts(peer.uid, rustix::process::geteuid()))
}

fn trusts(peer: rustix::process::Uid, own: rustix::process::Uid) -> bool {
    peer == own || peer.is_root()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use rustix::process::Uid;

    use super::*;

    #[test]
    fn oneself_and_root_are_trusted_and_nobody_else() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        assert!(is_trusted(&ours).unwrap());
        let user = Uid::from_raw(1000);
        assert!(trusts(user, user));
        assert!(trusts(Uid::ROOT, user));
        assert!(!trusts(Uid::from_raw(1001), user));
    }
}
