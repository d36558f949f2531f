//! Undoing on Windows.

use std::io;

use super::guid::Guid;
use super::ip::{self, IpInterface};
use super::{class, network_list};
use crate::journal::{Interface, Machine, MachineError, Object, Setting};
use crate::prefix::Family;

pub use crate::journal::IpValue;

const AUTOMATIC: &str = "automatic";
const IGNORED: &str = "ignored";
const USED: &str = "used";
const ON: &str = "on";
const OFF: &str = "off";

/// This machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct WindowsMachine;

impl Machine for WindowsMachine {
    fn remove(&mut self, object: &Object) -> Result<bool, MachineError> {
        match object {
            Object::IpRoute(route) => Ok(ip::delete_route(route)?),
            Object::Address { interface, prefix } => {
                // Only until the next start, so the index still names it.
                let luid = ip::luid_of_index(interface.index);
                Ok(match luid {
                    Some(luid) => ip::delete_address(luid, *prefix)?,
                    None => false,
                })
            }
            // We never make interfaces that outlive us.
            Object::Interface(_) => Ok(false),
            Object::File(path) => match std::fs::remove_file(path) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(error) => Err(error.into()),
            },
        }
    }

    fn setting(
        &mut self,
        _: &Interface,
        setting: &Setting,
    ) -> Result<Option<String>, MachineError> {
        match setting {
            Setting::Ip {
                adapter,
                family,
                value,
            } => Ok(interface(*adapter, *family)?.map(|found| value.read(&found))),
            Setting::NetworkAddress { adapter } => Ok(class::network_address(*adapter)?),
            Setting::Category { adapter } => Ok(network_list::category(*adapter)?),
            // Linux's.
            Setting::Mtu | Setting::Switch { .. } => Ok(None),
        }
    }

    fn set(&mut self, _: &Interface, setting: &Setting, value: &str) -> Result<(), MachineError> {
        match setting {
            Setting::Ip {
                adapter,
                family,
                value: which,
            } => {
                let found = interface(*adapter, *family)?;
                let mut changed = found.ok_or(io::Error::from(io::ErrorKind::NotFound))?;
                which.write(&mut changed, value)?;
                changed.write()?;
            }
            Setting::NetworkAddress { adapter } => class::set_network_address(*adapter, value)?,
            Setting::Category { adapter } => network_list::set_category(*adapter, value)?,
            Setting::Mtu | Setting::Switch { .. } => {}
        }
        Ok(())
    }

    /// Windows lets nobody mark a route as his own.
    fn marked(&mut self) -> Vec<Object> {
        Vec::new()
    }
}

impl IpValue {
    fn read(self, interface: &IpInterface) -> String {
        let named = |is: bool, yes: &str, no: &str| if is { yes } else { no }.to_owned();
        match self {
            Self::Metric => interface
                .metric()
                .map_or_else(|| AUTOMATIC.to_owned(), |metric| metric.to_string()),
            Self::Mtu => interface.mtu().to_string(),
            Self::DefaultRoutes => named(interface.ignores_default_routes(), IGNORED, USED),
            Self::RouterDiscovery => interface.router_discovery().to_string(),
            Self::Forwarding => named(interface.forwards(), ON, OFF),
        }
    }

    fn write(self, interface: &mut IpInterface, value: &str) -> io::Result<()> {
        let number = |text: &str| text.parse::<u32>().map_err(io::Error::other);
        match self {
            Self::Metric if value == AUTOMATIC => interface.set_metric(None),
            Self::Metric => interface.set_metric(Some(number(value)?)),
            Self::Mtu => interface.set_mtu(number(value)?),
            Self::DefaultRoutes => interface.set_ignores_default_routes(value == IGNORED),
            Self::RouterDiscovery => {
                interface.set_router_discovery(value.parse().map_err(io::Error::other)?);
            }
            Self::Forwarding => interface.set_forwards(value == ON),
        }
        Ok(())
    }
}

fn interface(adapter: Guid, family: Family) -> io::Result<Option<IpInterface>> {
    match ip::interface_of(adapter) {
        Some((luid, _)) => IpInterface::read(luid, family),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Undo;

    /// As version 0.1.0 wrote them, which every later version has to undo.
    const WRITTEN: [&str; 4] = [
        r#"{"kind":"remove","object":{"ip_route":{"destination":{"address":"203.0.113.5","length":32},"next_hop":"192.168.1.1","interface":4,"luid":1689399632855040,"metric":0}}}"#,
        r#"{"kind":"restore","interface":{"name":"Ethernet 2","index":77},"setting":{"ip":{"adapter":"{0000004D-0000-0000-0000-4E6574446576}","family":"v4","value":"metric"}},"old":"automatic","ours":"1"}"#,
        r#"{"kind":"restore","interface":{"name":"Ethernet 2","index":77},"setting":{"network_address":{"adapter":"{0000004D-0000-0000-0000-4E6574446576}"}},"old":"","ours":"02005E100001"}"#,
        r#"{"kind":"restore","interface":{"name":"Ethernet 2","index":77},"setting":{"category":{"adapter":"{0000004D-0000-0000-0000-4E6574446576}"}},"old":"public","ours":"private"}"#,
    ];

    #[test]
    fn what_a_former_version_recorded_is_understood_word_for_word() {
        for written in WRITTEN {
            let undo: Undo = serde_json::from_str(written).unwrap();
            assert_eq!(serde_json::to_string(&undo).unwrap(), written);
        }
    }

    #[test]
    fn what_is_gone_needs_no_undoing() {
        let adapter = Guid(7);
        let interface = Interface {
            name: "gone".to_owned(),
            index: u32::MAX,
        };
        let metric = Setting::Ip {
            adapter,
            family: Family::V4,
            value: IpValue::Metric,
        };
        for setting in [metric, Setting::NetworkAddress { adapter }] {
            let found = WindowsMachine.setting(&interface, &setting).unwrap();
            assert_eq!(found, None);
        }
        let address = Object::Address {
            interface,
            prefix: "10.0.0.1/24".parse().unwrap(),
        };
        assert!(!WindowsMachine.remove(&address).unwrap());
    }
}
