//! An opening in the machine's firewall that ends with this program.
//!
//! A dynamic session of the Windows Filtering Platform: whatever ends the
//! process takes its filters along.

use std::io;
use std::ptr;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::NetworkManagement::WindowsFilteringPlatform::{
    FWP_ACTION_PERMIT, FWP_CONDITION_VALUE0, FWP_CONDITION_VALUE0_0, FWP_MATCH_EQUAL,
    FWP_MATCH_RANGE, FWP_MATCH_TYPE, FWP_RANGE_TYPE, FWP_RANGE0, FWP_UINT8, FWP_UINT16, FWP_UINT64,
    FWP_VALUE0, FWP_VALUE0_0, FWPM_ACTION0, FWPM_CONDITION_IP_LOCAL_INTERFACE,
    FWPM_CONDITION_IP_LOCAL_PORT, FWPM_CONDITION_IP_PROTOCOL, FWPM_DISPLAY_DATA0,
    FWPM_FILTER_CONDITION0, FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT, FWPM_FILTER0,
    FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V4, FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V6,
    FWPM_SESSION_FLAG_DYNAMIC, FWPM_SESSION0, FWPM_SUBLAYER0, FwpmEngineClose0, FwpmEngineOpen0,
    FwpmFilterAdd0, FwpmSubLayerAdd0,
};
use windows_sys::Win32::System::Rpc::RPC_C_AUTHN_WINNT;
use windows_sys::core::GUID;

use super::opening::{ECHO, Echo, PORTS, PROTOCOLS};
use super::registry::checked;
use super::wide;

/// Names our filters among everybody's; made up once.
const SUBLAYER: GUID = GUID::from_u128(0x6f0d_7c35_2a4e_4e0b_9c1d_51b7_a0e4_3f27);
/// Before the system's own firewall, whose verdict is final otherwise.
const WEIGHT: u16 = u16::MAX;
const NAME: &str = "softlan-vpn: games of the LAN party";

/// Lets the party in on one interface, until dropped.
#[derive(Debug)]
pub struct Opening(HANDLE);

impl Opening {
    /// Opens [`PORTS`] for TCP and UDP, and lets the party ping.
    ///
    /// # Errors
    /// When the filtering engine is not there or not for us.
    pub fn new(luid: u64) -> io::Result<Self> {
        let mut name = wide::terminated(NAME)?;
        let display = FWPM_DISPLAY_DATA0 {
            name: name.as_mut_ptr(),
            description: ptr::null_mut(),
        };
        let session = FWPM_SESSION0 {
            displayData: display,
            flags: FWPM_SESSION_FLAG_DYNAMIC,
            ..FWPM_SESSION0::default()
        };
        let mut engine = ptr::null_mut();
        // SAFETY: the session and what it points to live; `engine` is ours.
        checked(unsafe {
            FwpmEngineOpen0(
                ptr::null(),
                RPC_C_AUTHN_WINNT,
                ptr::null(),
                &raw const session,
                &raw mut engine,
            )
        })?;
        let opening = Self(engine);
        let sublayer = FWPM_SUBLAYER0 {
            subLayerKey: SUBLAYER,
            displayData: display,
            weight: WEIGHT,
            ..FWPM_SUBLAYER0::default()
        };
        // SAFETY: the engine is open; the sublayer and what it points to live.
        checked(unsafe { FwpmSubLayerAdd0(engine, &raw const sublayer, ptr::null_mut()) })?;
        for is_v6 in [false, true] {
            for protocol in PROTOCOLS {
                for (first, last) in PORTS {
                    opening.permit(display, luid, is_v6, protocol, (first, last))?;
                }
            }
            let Echo { protocol, kind } = if is_v6 { ECHO.v6 } else { ECHO.v4 };
            // In this layer an ICMP message's type is in the place of the port.
            opening.permit(display, luid, is_v6, protocol, (kind, kind))?;
        }
        Ok(opening)
    }

    fn permit(
        &self,
        displayed: FWPM_DISPLAY_DATA0,
        mut luid: u64,
        is_v6: bool,
        protocol: u8,
        (first, last): (u16, u16),
    ) -> io::Result<()> {
        let bound = |uint16| FWP_VALUE0 {
            r#type: FWP_UINT16,
            Anonymous: FWP_VALUE0_0 { uint16 },
        };
        let mut range = FWP_RANGE0 {
            valueLow: bound(first),
            valueHigh: bound(last),
        };
        let mut conditions = [
            condition(
                FWPM_CONDITION_IP_LOCAL_INTERFACE,
                FWP_MATCH_EQUAL,
                FWP_UINT64,
                FWP_CONDITION_VALUE0_0 {
                    uint64: &raw mut luid,
                },
            ),
            condition(
                FWPM_CONDITION_IP_PROTOCOL,
                FWP_MATCH_EQUAL,
                FWP_UINT8,
                FWP_CONDITION_VALUE0_0 { uint8: protocol },
            ),
            condition(
                FWPM_CONDITION_IP_LOCAL_PORT,
                FWP_MATCH_RANGE,
                FWP_RANGE_TYPE,
                FWP_CONDITION_VALUE0_0 {
                    rangeValue: &raw mut range,
                },
            ),
        ];
        let filter = FWPM_FILTER0 {
            displayData: displayed,
            // Nobody behind us may forbid what we permit.
            flags: FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT,
            layerKey: if is_v6 {
                FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V6
            } else {
                FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V4
            },
            subLayerKey: SUBLAYER,
            numFilterConditions: u32::try_from(conditions.len()).unwrap_or(0),
            filterCondition: conditions.as_mut_ptr(),
            action: FWPM_ACTION0 {
                r#type: FWP_ACTION_PERMIT,
                ..FWPM_ACTION0::default()
            },
            ..FWPM_FILTER0::default()
        };
        // SAFETY: the engine is open; the filter and what it points to live.
        checked(unsafe {
            FwpmFilterAdd0(self.0, &raw const filter, ptr::null_mut(), ptr::null_mut())
        })
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        // SAFETY: opened by us and closed once.
        unsafe { FwpmEngineClose0(self.0) };
    }
}

const fn condition(
    field: GUID,
    kind: FWP_MATCH_TYPE,
    value_kind: i32,
    value: FWP_CONDITION_VALUE0_0,
) -> FWPM_FILTER_CONDITION0 {
    FWPM_FILTER_CONDITION0 {
        fieldKey: field,
        matchType: kind,
        conditionValue: FWP_CONDITION_VALUE0 {
            r#type: value_kind,
            Anonymous: value,
        },
    }
}
