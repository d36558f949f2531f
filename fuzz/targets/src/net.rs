//! What users paste as an address.

use lanparty_net::dns::DnsName;
use lanparty_net::endpoint::RelayEndpoint;
use lanparty_net::listen::ListenAddress;
use lanparty_net::{Invite, InviteError};

use crate::take_bytes;

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

/// A text as it was pasted, then one made of its parts: relay, room, key, pins
/// and where to damage it. What parses prints the same, and one wrong
/// character is noticed anywhere.
pub fn invite(mut data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(invite) = text.parse::<Invite>()
    {
        assert_eq!(invite.link().parse(), Ok(invite));
    }
    let mut text = || std::str::from_utf8(take_bytes(&mut data)).ok();
    let (Some(relay), Some(room)) = (text(), text()) else {
        return;
    };
    let Ok(relay) = relay.parse() else { return };
    let key = take_bytes(&mut data).try_into().ok();
    let damage = take_bytes(&mut data);
    let (pins, _) = data.as_chunks();
    let Ok(invite) = Invite::new(relay, room, pins.to_vec(), key) else {
        return;
    };
    let link = invite.link();
    assert_eq!(link.parse(), Ok(invite));
    for (at, wrong) in damage.iter().enumerate() {
        let at = at * 31 % link.len();
        let wrong = char::from(*wrong);
        let mut damaged = link.to_string();
        damaged.replace_range(at..=at, wrong.encode_utf8(&mut [0; 4]));
        if damaged != **link {
            let refused: Result<Invite, InviteError> = damaged.parse();
            assert!(refused.is_err(), "{damaged}");
        }
    }
}
