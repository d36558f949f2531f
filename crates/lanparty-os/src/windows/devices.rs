//! Devices as the device manager has them.

use std::io;
use std::ptr;

use windows_sys::Win32::Devices::DeviceAndDriverInstallation::{
    CM_DISABLE_UI_NOT_OK, CM_Disable_DevNode, CM_Enable_DevNode, CM_LOCATE_DEVNODE_NORMAL,
    CM_Locate_DevNodeW, CONFIGRET, CR_ACCESS_DENIED, CR_SUCCESS, DI_FUNCTION, DICD_GENERATE_ID,
    DIF_REGISTERDEVICE, DIF_REMOVE, DiInstallDevice, GUID_DEVCLASS_NET, HDEVINFO, SP_DEVINFO_DATA,
    SPDRP_HARDWAREID, SetupDiCallClassInstaller, SetupDiCreateDeviceInfoList,
    SetupDiCreateDeviceInfoW, SetupDiDestroyDeviceInfoList, SetupDiSetDeviceRegistryPropertyW,
};

use super::wide;

/// Disables a device and enables it again, so that its driver starts anew.
///
/// # Errors
/// When there is no such device, or the system refuses.
pub fn restart(device: &str) -> io::Result<()> {
    let device = locate(device)?;
    // SAFETY: only a number goes in.
    configured(unsafe { CM_Disable_DevNode(device, CM_DISABLE_UI_NOT_OK) })?;
    // SAFETY: only a number goes in.
    configured(unsafe { CM_Enable_DevNode(device, 0) })
}

/// Enables a device that somebody has disabled.
///
/// # Errors
/// As [`restart`].
pub fn enable(device: &str) -> io::Result<()> {
    let device = locate(device)?;
    // SAFETY: only a number goes in.
    configured(unsafe { CM_Enable_DevNode(device, 0) })
}

/// Adds a network adapter whose driver the system has already. It stays.
///
/// # Errors
/// When the system has no driver for it, or refuses.
pub fn create_network_adapter(hardware_id: &str, description: &str) -> io::Result<()> {
    let description = wide::terminated(description)?;
    // A list of strings, ended by an empty one.
    let mut ids = wide::terminated(hardware_id)?;
    ids.push(0);
    let ids: Vec<u8> = ids.into_iter().flat_map(u16::to_le_bytes).collect();

    let list = DeviceList::new()?;
    let mut device = SP_DEVINFO_DATA {
        cbSize: u32::try_from(size_of::<SP_DEVINFO_DATA>()).unwrap_or(0),
        ..SP_DEVINFO_DATA::default()
    };
    // SAFETY: the list is open, the strings are terminated, `device` is ours.
    done(unsafe {
        SetupDiCreateDeviceInfoW(
            list.0,
            windows_sys::w!("NET"),
            &GUID_DEVCLASS_NET,
            description.as_ptr(),
            ptr::null_mut(),
            DICD_GENERATE_ID,
            &raw mut device,
        )
    })?;
    let len = u32::try_from(ids.len()).unwrap_or(0);
    // SAFETY: `ids` holds `len` bytes.
    done(unsafe {
        SetupDiSetDeviceRegistryPropertyW(
            list.0,
            &raw mut device,
            SPDRP_HARDWAREID,
            ids.as_ptr(),
            len,
        )
    })?;
    list.call(DIF_REGISTERDEVICE, &device)?;
    // SAFETY: the device is registered; no window, the best driver, and nobody
    // is asked whether to start the machine anew.
    let installed = done(unsafe {
        DiInstallDevice(
            ptr::null_mut(),
            list.0,
            &raw const device,
            ptr::null(),
            0,
            ptr::null_mut(),
        )
    });
    if installed.is_err() {
        // A device without a driver would be left in the device manager.
        let _refused = list.call(DIF_REMOVE, &device);
    }
    installed
}

struct DeviceList(HDEVINFO);

impl DeviceList {
    fn new() -> io::Result<Self> {
        // SAFETY: the class is a constant; no window.
        let list = unsafe { SetupDiCreateDeviceInfoList(&GUID_DEVCLASS_NET, ptr::null_mut()) };
        // INVALID_HANDLE_VALUE
        if list == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(list))
    }

    fn call(&self, function: DI_FUNCTION, device: &SP_DEVINFO_DATA) -> io::Result<()> {
        // SAFETY: the device belongs to this list.
        done(unsafe { SetupDiCallClassInstaller(function, self.0, device) })
    }
}

impl Drop for DeviceList {
    fn drop(&mut self) {
        // SAFETY: made by us and destroyed once.
        unsafe { SetupDiDestroyDeviceInfoList(self.0) };
    }
}

fn locate(device: &str) -> io::Result<u32> {
    let device = wide::terminated(device)?;
    let mut node = 0;
    // SAFETY: the name is terminated, `node` is ours.
    configured(unsafe {
        CM_Locate_DevNodeW(&raw mut node, device.as_ptr(), CM_LOCATE_DEVNODE_NORMAL)
    })?;
    Ok(node)
}

/// The configuration manager has error codes of its own.
fn configured(result: CONFIGRET) -> io::Result<()> {
    match result {
        CR_SUCCESS => Ok(()),
        CR_ACCESS_DENIED => Err(io::ErrorKind::PermissionDenied.into()),
        other => Err(io::Error::other(format!(
            "the configuration manager says {other:#x}"
        ))),
    }
}

fn done(result: i32) -> io::Result<()> {
    if result == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
