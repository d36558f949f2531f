//! Undoing on Linux.

use std::io;

use crate::journal::{Interface, Machine, MachineError, Object, Setting};
use crate::netlink::{Family, LinkChange, Netlink, NetlinkError, ROUTE_PROTOCOL};
use crate::sysctl;

/// The network namespace in which it was opened.
#[derive(Debug)]
pub struct LinuxMachine {
    netlink: Netlink,
}

impl LinuxMachine {
    /// # Errors
    /// When the kernel has no routing netlink or forbids it.
    pub fn open() -> Result<Self, NetlinkError> {
        Ok(Self {
            netlink: Netlink::open()?,
        })
    }

    /// False where the interface is gone, even if another has its name now.
    fn is_there(&mut self, interface: &Interface) -> Result<bool, NetlinkError> {
        let link = self.netlink.link_by_index(interface.index)?;
        Ok(link.is_some_and(|link| link.name == interface.name))
    }
}

impl Machine for LinuxMachine {
    fn remove(&mut self, object: &Object) -> Result<bool, MachineError> {
        let removed = match object {
            Object::Route(route) => self.netlink.delete_route(route),
            Object::Rule(rule) => self.netlink.delete_rule(rule),
            Object::Address { interface, prefix } => {
                if !self.is_there(interface)? {
                    return Ok(false);
                }
                self.netlink.delete_address(interface.index, *prefix)
            }
            Object::Interface(interface) => {
                if !self.is_there(interface)? {
                    return Ok(false);
                }
                self.netlink.delete_link(interface.index)
            }
            Object::File(path) => {
                return match std::fs::remove_file(path) {
                    Ok(()) => Ok(true),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                    Err(error) => Err(error.into()),
                };
            }
        };
        match removed {
            Ok(()) => Ok(true),
            Err(error) if error.is_missing() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn setting(
        &mut self,
        interface: &Interface,
        setting: &Setting,
    ) -> Result<Option<String>, MachineError> {
        if !self.is_there(interface)? {
            return Ok(None);
        }
        match setting {
            Setting::Mtu => {
                let link = self.netlink.link_by_index(interface.index)?;
                Ok(link.map(|link| link.mtu.to_string()))
            }
            Setting::Switch { family, name } => {
                match sysctl::read(*family, &interface.name, name) {
                    Ok(value) => Ok(Some(value)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    fn set(
        &mut self,
        interface: &Interface,
        setting: &Setting,
        value: &str,
    ) -> Result<(), MachineError> {
        match setting {
            Setting::Mtu => {
                let mtu = value.parse().map_err(io::Error::other)?;
                self.netlink.change_link(
                    interface.index,
                    &LinkChange {
                        mtu: Some(mtu),
                        ..LinkChange::default()
                    },
                )?;
            }
            Setting::Switch { family, name } => {
                sysctl::write(*family, &interface.name, name, value)?;
            }
        }
        Ok(())
    }

    fn marked(&mut self) -> Vec<Object> {
        let mut objects = Vec::new();
        for family in [Family::V4, Family::V6] {
            let routes = self.netlink.routes(family).unwrap_or_default();
            let rules = self.netlink.rules(family).unwrap_or_default();
            objects.extend(
                routes
                    .into_iter()
                    .filter(|route| route.protocol == ROUTE_PROTOCOL)
                    .map(Object::Route),
            );
            objects.extend(
                rules
                    .into_iter()
                    .filter(|rule| rule.protocol == ROUTE_PROTOCOL)
                    .map(Object::Rule),
            );
        }
        objects
    }
}
