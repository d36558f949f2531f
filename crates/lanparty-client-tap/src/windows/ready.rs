//! From an adapter in the registry to an open one with our MAC address.

use std::io;
use std::time::Duration;

use lanparty_os::windows::guid::Guid;
use lanparty_os::windows::rows::AdapterValues;
use lanparty_proto::MacAddr;

use super::control::{self, OLDEST, Version};
use super::discovery::{self, Found, Reason};
use crate::TapError;

/// Tries to open an adapter that was restarted, and the pause between them: a
/// driver needs a second or two to come back.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(200);

/// What getting ready needs of the machine.
pub trait Machine {
    /// An open adapter; closed when dropped.
    type Device: Device;

    /// # Errors
    /// When the registry cannot be read.
    fn adapters(&mut self) -> io::Result<Vec<AdapterValues>>;
    /// Whether the driver was ever installed.
    ///
    /// # Errors
    /// When the registry cannot be read.
    fn has_driver(&mut self) -> io::Result<bool>;
    /// Makes an adapter with this name.
    ///
    /// # Errors
    /// When the system refuses, or has no driver for it after all.
    fn create(&mut self, name: &str) -> io::Result<()>;
    /// Asks for a MAC address from the driver's next start on.
    ///
    /// # Errors
    /// When the wish cannot be recorded or written down.
    fn ask_for_mac(&mut self, adapter: &Found, digits: &str) -> Result<(), TapError>;
    /// Starts the driver anew.
    ///
    /// # Errors
    /// When the system refuses.
    fn restart(&mut self, adapter: &Found) -> io::Result<()>;
    /// # Errors
    /// When the adapter is in use, disabled or not for us.
    fn open(&mut self, adapter: Guid) -> io::Result<Self::Device>;
    fn sleep(&mut self, time: Duration);
}

/// An adapter's answers.
pub trait Device {
    /// Sends a control code without input and returns the answer's length.
    ///
    /// # Errors
    /// When the driver refuses.
    fn ask(&self, code: u32, answer: &mut [u8]) -> io::Result<usize>;
}

/// An adapter that has our MAC address.
#[derive(Debug)]
pub struct Ready<D> {
    pub device: D,
    pub adapter: Found,
    pub reason: Reason,
    pub version: Version,
    /// The driver's own.
    pub mtu: u32,
}

/// Finds or makes the adapter, and sees to it that its driver is safe and has
/// the right MAC address.
///
/// # Errors
/// [`TapError`] tells what is missing on this machine.
pub fn prepare<M: Machine>(
    machine: &mut M,
    wanted: Option<Guid>,
    own_name: &str,
    mac: MacAddr,
) -> Result<Ready<M::Device>, TapError> {
    let (adapter, reason) = find_or_make(machine, wanted, own_name)?;
    // Written down in any case, so that a restart in the middle of the party
    // does not bring another address back.
    machine.ask_for_mac(&adapter, &control::network_address(mac))?;
    let mut device = match machine.open(adapter.guid) {
        Ok(device) => device,
        // A disabled adapter is in the registry and not there.
        Err(error) if error.kind() == io::ErrorKind::NotFound => restart(machine, &adapter)?,
        Err(error) => return Err(cannot_open(&adapter, error)),
    };
    let version = version(&device, &adapter)?;
    if version < OLDEST {
        return Err(TapError::DriverTooOld {
            found: version.to_string(),
            oldest: OLDEST.to_string(),
        });
    }
    if ask_mac(&device, &adapter)? != mac {
        drop(device);
        device = restart(machine, &adapter)?;
        let found = ask_mac(&device, &adapter)?;
        if found != mac {
            return Err(TapError::OtherMac {
                name: adapter.name,
                found,
                wanted: mac,
            });
        }
    }
    let mtu = answer(&device, control::GET_MTU, &adapter, |answer| {
        control::mtu(answer)
    })?;
    Ok(Ready {
        device,
        adapter,
        reason,
        version,
        mtu,
    })
}

fn find_or_make<M: Machine>(
    machine: &mut M,
    wanted: Option<Guid>,
    own_name: &str,
) -> Result<(Found, Reason), TapError> {
    let found = adapters(machine)?;
    if let Some(choice) = discovery::choose(&found, wanted, own_name)? {
        return Ok(choice);
    }
    if !machine.has_driver().map_err(registry)? {
        return Err(TapError::DriverMissing);
    }
    machine.create(own_name).map_err(|source| {
        if source.kind() == io::ErrorKind::PermissionDenied {
            return TapError::NotPermitted;
        }
        TapError::Create { source }
    })?;
    let made = adapters(machine)?.into_iter().next();
    let made = made.ok_or_else(|| TapError::Gone {
        name: own_name.to_owned(),
    })?;
    Ok((made, Reason::Made))
}

fn adapters<M: Machine>(machine: &mut M) -> Result<Vec<Found>, TapError> {
    let adapters = machine.adapters().map_err(registry)?;
    Ok(discovery::of_driver(&adapters))
}

fn restart<M: Machine>(machine: &mut M, adapter: &Found) -> Result<M::Device, TapError> {
    machine.restart(adapter).map_err(|source| {
        if source.kind() == io::ErrorKind::PermissionDenied {
            return TapError::NotPermitted;
        }
        TapError::Restart {
            name: adapter.name.clone(),
            source,
        }
    })?;
    let mut attempts = 0;
    loop {
        attempts += 1;
        // An adapter on its way up opens before it answers.
        let opened = machine.open(adapter.guid).and_then(|device| {
            device.ask(control::GET_MAC, &mut [0; 6])?;
            Ok(device)
        });
        match opened {
            Ok(device) => return Ok(device),
            Err(error) if attempts >= ATTEMPTS => return Err(cannot_open(adapter, error)),
            Err(_) => machine.sleep(PAUSE),
        }
    }
}

fn version(device: &impl Device, adapter: &Found) -> Result<Version, TapError> {
    answer(device, control::GET_VERSION, adapter, |answer| {
        control::version(answer)
    })
}

fn ask_mac(device: &impl Device, adapter: &Found) -> Result<MacAddr, TapError> {
    answer(device, control::GET_MAC, adapter, |answer| {
        control::mac(answer)
    })
}

fn answer<T>(
    device: &impl Device,
    code: u32,
    adapter: &Found,
    parse: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<T, TapError> {
    // The longest answer is the version's.
    let mut answer = [0; 12];
    let asked = device.ask(code, &mut answer).and_then(|len| {
        let parsed = answer.get(..len).and_then(parse);
        parsed.ok_or_else(|| io::ErrorKind::InvalidData.into())
    });
    asked.map_err(|error| cannot_open(adapter, error))
}

fn cannot_open(adapter: &Found, source: io::Error) -> TapError {
    let name = adapter.name.clone();
    // Not a question of rights, even where the system says so: the registry has
    // let us write by now.
    if source.kind() == io::ErrorKind::NotFound {
        return TapError::Gone { name };
    }
    TapError::InUse { name, source }
}

fn registry(source: io::Error) -> TapError {
    if source.kind() == io::ErrorKind::PermissionDenied {
        return TapError::NotPermitted;
    }
    TapError::Registry { source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 7]);
    const OTHER: MacAddr = MacAddr([0, 0xFF, 1, 2, 3, 4]);
    const GUID: &str = "{00000007-0000-0000-0000-4E6574446576}";

    /// A machine whose driver takes a new MAC address when it starts.
    struct Fake {
        adapters: Vec<AdapterValues>,
        has_driver: bool,
        version: [u32; 3],
        mac: MacAddr,
        asked: Option<String>,
        takes_new_mac: bool,
        is_disabled: bool,
        restarts: u32,
        /// Opens that fail after a restart.
        comes_up_after: u32,
    }

    struct FakeDevice {
        mac: MacAddr,
        version: [u32; 3],
    }

    impl Device for FakeDevice {
        fn ask(&self, code: u32, answer: &mut [u8]) -> io::Result<usize> {
            let content = match code {
                control::GET_MAC => self.mac.0.to_vec(),
                control::GET_MTU => 1_500_u32.to_le_bytes().to_vec(),
                control::GET_VERSION => self.version.iter().flat_map(|n| n.to_le_bytes()).collect(),
                _ => return Err(io::ErrorKind::Unsupported.into()),
            };
            answer[..content.len()].copy_from_slice(&content);
            Ok(content.len())
        }
    }

    impl Machine for Fake {
        type Device = FakeDevice;

        fn adapters(&mut self) -> io::Result<Vec<AdapterValues>> {
            Ok(self.adapters.clone())
        }

        fn has_driver(&mut self) -> io::Result<bool> {
            Ok(self.has_driver)
        }

        fn create(&mut self, name: &str) -> io::Result<()> {
            self.adapters.push(adapter(name));
            Ok(())
        }

        fn ask_for_mac(&mut self, _: &Found, digits: &str) -> Result<(), TapError> {
            self.asked = Some(digits.to_owned());
            Ok(())
        }

        fn restart(&mut self, _: &Found) -> io::Result<()> {
            self.restarts += 1;
            self.is_disabled = false;
            if self.takes_new_mac && self.asked.as_deref() == Some("020000000007") {
                self.mac = MAC;
            }
            Ok(())
        }

        fn open(&mut self, _: Guid) -> io::Result<FakeDevice> {
            if self.is_disabled || (self.restarts > 0 && self.comes_up_after > 0) {
                self.comes_up_after = self.comes_up_after.saturating_sub(1);
                return Err(io::ErrorKind::NotFound.into());
            }
            Ok(FakeDevice {
                mac: self.mac,
                version: self.version,
            })
        }

        fn sleep(&mut self, _: Duration) {}
    }

    fn adapter(name: &str) -> AdapterValues {
        AdapterValues {
            component_id: Some("tap0901".to_owned()),
            instance_id: Some(GUID.to_owned()),
            connection: Some(name.to_owned()),
            ..AdapterValues::default()
        }
    }

    fn machine() -> Fake {
        Fake {
            adapters: vec![adapter("TAP")],
            has_driver: true,
            version: [9, 27, 0],
            mac: MAC,
            asked: None,
            takes_new_mac: true,
            is_disabled: false,
            restarts: 0,
            comes_up_after: 0,
        }
    }

    fn get_ready(machine: &mut Fake) -> Result<Ready<FakeDevice>, TapError> {
        prepare(machine, None, "lanparty0", MAC)
    }

    #[test]
    fn an_adapter_that_has_the_right_mac_is_not_restarted() {
        let mut machine = machine();
        let ready = get_ready(&mut machine).unwrap();
        assert_eq!((ready.mtu, ready.version), (1_500, OLDEST));
        assert_eq!(machine.restarts, 0);
        assert_eq!(machine.asked.as_deref(), Some("020000000007"));
    }

    #[test]
    fn another_mac_is_changed_by_a_restart_that_takes_its_time() {
        let mut machine = Fake {
            mac: OTHER,
            comes_up_after: 3,
            ..machine()
        };
        get_ready(&mut machine).unwrap();
        assert_eq!(machine.restarts, 1);
    }

    #[test]
    fn a_driver_that_keeps_its_mac_is_refused() {
        let mut machine = Fake {
            mac: OTHER,
            takes_new_mac: false,
            ..machine()
        };
        let error = get_ready(&mut machine).map(|_| ()).unwrap_err();
        assert!(
            matches!(error, TapError::OtherMac { found, .. } if found == OTHER),
            "{error}"
        );
        assert_eq!(machine.restarts, 1);
    }

    #[test]
    fn an_adapter_that_never_comes_back_is_reported() {
        let mut machine = Fake {
            mac: OTHER,
            comes_up_after: u32::MAX,
            ..machine()
        };
        let error = get_ready(&mut machine).map(|_| ()).unwrap_err();
        assert!(matches!(error, TapError::Gone { .. }), "{error}");
    }

    #[test]
    fn a_driver_with_a_known_hole_is_refused() {
        let mut machine = Fake {
            version: [9, 26, 0],
            ..machine()
        };
        let error = get_ready(&mut machine).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("9.26"), "{error}");
    }

    #[test]
    fn a_disabled_adapter_is_enabled() {
        let mut machine = Fake {
            is_disabled: true,
            ..machine()
        };
        get_ready(&mut machine).unwrap();
        assert_eq!(machine.restarts, 1);
    }

    #[test]
    fn without_an_adapter_one_is_made_where_the_driver_is_and_only_there() {
        let mut machine = Fake {
            adapters: Vec::new(),
            ..machine()
        };
        let ready = get_ready(&mut machine).unwrap();
        assert_eq!(
            (ready.adapter.name.as_str(), ready.reason),
            ("lanparty0", Reason::Made)
        );

        let mut without_driver = Fake {
            adapters: Vec::new(),
            has_driver: false,
            ..self::machine()
        };
        let error = get_ready(&mut without_driver).map(|_| ()).unwrap_err();
        assert!(matches!(error, TapError::DriverMissing), "{error}");
    }
}
