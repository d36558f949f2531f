//! Whether an interface can carry the players' frames.

use std::path::Path;

use lanparty_os::netlink::{Link, Netlink};

use crate::error::{LanError, Refusal};

/// Interface kinds that see only part of a LAN or none at all.
const UNUSABLE_KINDS: [&str; 9] = [
    "tun",
    "macvlan",
    "macvtap",
    "ipvlan",
    "ipvtap",
    "vxlan",
    "gretap",
    "ip6gretap",
    "batadv",
];

/// An interface that was found usable.
#[derive(Debug)]
pub(super) struct Inspected {
    pub(super) link: Link,
    pub(super) is_bridge: bool,
}

pub(super) fn inspect(netlink: &mut Netlink, name: &str) -> Result<Inspected, LanError> {
    let refused = |refusal| LanError::Refused {
        interface: name.to_owned(),
        refusal,
    };
    let links = netlink.links()?;
    let Some(link) = links.iter().find(|link| link.name == name) else {
        let usable = links
            .iter()
            .filter(|link| judge(link, is_wireless(&link.name), &links).is_ok())
            .map(|link| link.name.clone())
            .collect();
        return Err(refused(Refusal::Missing { usable }));
    };
    judge(link, is_wireless(name), &links).map_err(refused)?;
    Ok(Inspected {
        link: link.clone(),
        is_bridge: is_bridge(link),
    })
}

fn is_bridge(link: &Link) -> bool {
    link.kind.as_deref() == Some("bridge")
}

fn judge(link: &Link, is_wireless: bool, links: &[Link]) -> Result<(), Refusal> {
    if link.is_loopback {
        return Err(Refusal::Loopback);
    }
    if is_wireless {
        return Err(Refusal::Wireless);
    }
    if let Some(kind) = &link.kind
        && UNUSABLE_KINDS.contains(&kind.as_str())
    {
        return Err(Refusal::Virtual { kind: kind.clone() });
    }
    if !link.is_ethernet {
        return Err(Refusal::NotEthernet);
    }
    if let Some(master) = link.master {
        // A VRF also is a master, but leaves the frames to the interface.
        let master = links.iter().find(|other| other.index == master);
        if let Some(master) = master
            && master.kind.as_deref() != Some("vrf")
        {
            return Err(Refusal::PartOf {
                master: master.name.clone(),
            });
        }
    }
    if !link.is_up {
        return Err(Refusal::Down);
    }
    // A bridge has a link as soon as our port is on it.
    if !link.has_carrier && !is_bridge(link) {
        return Err(Refusal::NoCarrier);
    }
    Ok(())
}

/// Drivers of either generation leave one of these marks.
fn is_wireless(name: &str) -> bool {
    let device = Path::new("/sys/class/net").join(name);
    device.join("wireless").exists() || device.join("phy80211").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(name: &str) -> Link {
        Link {
            index: 2,
            name: name.to_owned(),
            mac: None,
            mtu: 1500,
            is_up: true,
            has_carrier: true,
            is_operational: true,
            is_loopback: false,
            is_ethernet: true,
            master: None,
            kind: None,
            promiscuity: 0,
        }
    }

    #[test]
    fn each_unusable_interface_is_refused_for_its_own_reason() {
        let bridge = Link {
            index: 9,
            kind: Some("bridge".to_owned()),
            has_carrier: false,
            ..link("br0")
        };
        let vrf = Link {
            index: 10,
            kind: Some("vrf".to_owned()),
            ..link("red")
        };
        let all = [bridge.clone(), vrf];
        let usable = link("eth0");
        assert_eq!(judge(&usable, false, &all), Ok(()));
        assert_eq!(judge(&bridge, false, &all), Ok(()));
        assert_eq!(judge(&usable, true, &all), Err(Refusal::Wireless));
        let with = |change: &dyn Fn(&mut Link)| {
            let mut changed = usable.clone();
            change(&mut changed);
            judge(&changed, false, &all)
        };
        assert_eq!(with(&|l| l.is_loopback = true), Err(Refusal::Loopback));
        assert_eq!(with(&|l| l.is_ethernet = false), Err(Refusal::NotEthernet));
        assert_eq!(
            with(&|l| l.kind = Some("macvlan".to_owned())),
            Err(Refusal::Virtual {
                kind: "macvlan".to_owned()
            })
        );
        assert_eq!(
            with(&|l| l.master = Some(9)),
            Err(Refusal::PartOf {
                master: "br0".to_owned()
            })
        );
        assert_eq!(with(&|l| l.master = Some(10)), Ok(()));
        assert_eq!(with(&|l| l.is_up = false), Err(Refusal::Down));
        assert_eq!(with(&|l| l.has_carrier = false), Err(Refusal::NoCarrier));
    }
}
