//! Getting ready on a real machine.

use std::io;
use std::thread;
use std::time::Duration;

use lanparty_os::journal::Setting;
use lanparty_os::windows::changes::Changes;
use lanparty_os::windows::guid::Guid;
use lanparty_os::windows::overlapped;
use lanparty_os::windows::rows::AdapterValues;
use lanparty_os::windows::{class, devices};

use super::control;
use super::discovery::{self, Found};
use super::ready::{Device, Machine};
use crate::TapError;

/// The hardware id by which the driver's package is found.
const HARDWARE_ID: &str = r"root\tap0901";
const SERVICE: &str = "tap0901";
const DESCRIPTION: &str = "TAP-Windows Adapter V9";
/// The driver answers at once, or something is badly wrong.
const PATIENCE: Duration = Duration::from_secs(5);

/// The driver's adapters on this machine.
///
/// # Errors
/// When the registry cannot be read.
pub fn adapters() -> Result<Vec<Found>, TapError> {
    let adapters = class::adapters().map_err(|source| TapError::Registry { source })?;
    Ok(discovery::of_driver(&adapters))
}

/// This machine; what it changes for an adapter goes into `changes`.
#[derive(Debug)]
pub(super) struct System<F> {
    changes: Option<Changes>,
    new_changes: F,
}

impl<F: Fn(&Found) -> Changes> System<F> {
    pub(super) const fn new(new_changes: F) -> Self {
        Self {
            changes: None,
            new_changes,
        }
    }

    /// What was changed so far, for whoever undoes it.
    pub(super) fn into_changes(self) -> Option<Changes> {
        self.changes
    }
}

impl<F: Fn(&Found) -> Changes> Machine for System<F> {
    type Device = overlapped::Device;

    fn adapters(&mut self) -> io::Result<Vec<AdapterValues>> {
        class::adapters()
    }

    fn has_driver(&mut self) -> io::Result<bool> {
        class::has_driver(SERVICE)
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        devices::create_network_adapter(HARDWARE_ID, DESCRIPTION)?;
        let made = discovery::of_driver(&class::adapters()?).into_iter().next();
        let made = made.ok_or(io::ErrorKind::NotFound)?;
        class::set_connection_name(made.guid, name)
    }

    fn ask_for_mac(&mut self, adapter: &Found, digits: &str) -> Result<(), TapError> {
        let setting = Setting::NetworkAddress {
            adapter: adapter.guid,
        };
        let changes = self
            .changes
            .get_or_insert_with(|| (self.new_changes)(adapter));
        match changes.set(&setting, digits) {
            Ok(_) => Ok(()),
            Err(error) if error.is_permission_denied() => Err(TapError::NotPermitted),
            Err(error) => Err(TapError::Settings {
                name: adapter.name.clone(),
                source: Box::new(error),
            }),
        }
    }

    fn restart(&mut self, adapter: &Found) -> io::Result<()> {
        let device = adapter.device.as_ref().ok_or_else(|| {
            io::Error::other("the device manager's name of it is not in the registry")
        })?;
        devices::restart(device)
    }

    fn open(&mut self, adapter: Guid) -> io::Result<overlapped::Device> {
        overlapped::Device::open(&control::device_path(adapter))
    }

    fn sleep(&mut self, time: Duration) {
        thread::sleep(time);
    }
}

impl Device for overlapped::Device {
    fn ask(&self, code: u32, answer: &mut [u8]) -> io::Result<usize> {
        self.control(code, &[], answer, PATIENCE)
    }
}
