//! Network adapters as the registry knows them.

use std::io;

use super::guid::Guid;
use super::registry::{Hive, Key};
use super::rows::AdapterValues;

/// The class of network adapters, with a numbered key for each that was ever
/// installed.
const CLASS: &str =
    "SYSTEM\\CurrentControlSet\\Control\\Class\\{4D36E972-E325-11CE-BFC1-08002BE10318}";
/// Their connections, with a key for each adapter.
const CONNECTIONS: &str =
    "SYSTEM\\CurrentControlSet\\Control\\Network\\{4D36E972-E325-11CE-BFC1-08002BE10318}";
/// The MAC address that a driver is asked to use.
const NETWORK_ADDRESS: &str = "NetworkAddress";
const INSTANCE_ID: &str = "NetCfgInstanceId";

/// What the registry has of every network adapter, in its order. Keys that are
/// not for us are left out.
///
/// # Errors
/// When the class cannot be listed.
pub fn adapters() -> io::Result<Vec<AdapterValues>> {
    let Some(class) = Key::open(Hive::Machine, CLASS)? else {
        return Ok(Vec::new());
    };
    let mut adapters = Vec::new();
    for name in class.names()? {
        let path = format!("{CLASS}\\{name}");
        if let Ok(Some(key)) = Key::open(Hive::Machine, &path)
            && let Ok(values) = values(&key)
        {
            adapters.push(values);
        }
    }
    Ok(adapters)
}

fn values(key: &Key) -> io::Result<AdapterValues> {
    let instance_id = key.string(INSTANCE_ID)?;
    let connection = match &instance_id {
        Some(id) => Key::open(Hive::Machine, &format!("{CONNECTIONS}\\{id}\\Connection"))?,
        None => None,
    };
    let of_connection = |name: &str| {
        let key = connection.as_ref();
        key.map_or(Ok(None), |key| key.string(name))
    };
    Ok(AdapterValues {
        component_id: key.string("ComponentId")?,
        driver_version: key.string("DriverVersion")?,
        connection: of_connection("Name")?,
        device: match of_connection("PnPInstanceID")? {
            Some(device) => Some(device),
            None => key.string("DeviceInstanceID")?,
        },
        instance_id,
    })
}

/// The MAC address that the driver is asked to use, empty where it is not
/// asked; None where there is no such adapter.
///
/// # Errors
/// When the registry cannot be read.
pub fn network_address(adapter: Guid) -> io::Result<Option<String>> {
    let Some(key) = find(adapter)? else {
        return Ok(None);
    };
    Ok(Some(key.string(NETWORK_ADDRESS)?.unwrap_or_default()))
}

/// Asks the driver to use another MAC address from its next start on; an empty
/// one takes the wish back.
///
/// # Errors
/// When the adapter is gone or not ours to change.
pub fn set_network_address(adapter: Guid, address: &str) -> io::Result<()> {
    let key = find(adapter)?.ok_or(io::ErrorKind::NotFound)?;
    if address.is_empty() {
        key.delete_value(NETWORK_ADDRESS)
    } else {
        key.set_string(NETWORK_ADDRESS, address)
    }
}

/// Whether a driver was ever installed under this name.
///
/// # Errors
/// When the registry cannot be read.
pub fn has_driver(service: &str) -> io::Result<bool> {
    let path = format!("SYSTEM\\CurrentControlSet\\Services\\{service}");
    Ok(Key::open(Hive::Machine, &path)?.is_some())
}

/// Renames a connection, as people see it.
///
/// # Errors
/// When the adapter is gone or not ours to change.
pub fn set_connection_name(adapter: Guid, name: &str) -> io::Result<()> {
    let path = format!("{CONNECTIONS}\\{adapter}\\Connection");
    let key = Key::open_writable(Hive::Machine, &path)?.ok_or(io::ErrorKind::NotFound)?;
    key.set_string("Name", name)
}

fn find(adapter: Guid) -> io::Result<Option<Key>> {
    let Some(class) = Key::open(Hive::Machine, CLASS)? else {
        return Ok(None);
    };
    for name in class.names()? {
        let path = format!("{CLASS}\\{name}");
        let Ok(Some(key)) = Key::open(Hive::Machine, &path) else {
            continue;
        };
        let id = key.string(INSTANCE_ID)?;
        if id.and_then(|id| id.parse().ok()) == Some(adapter) {
            return Key::open_writable(Hive::Machine, &path);
        }
    }
    Ok(None)
}
