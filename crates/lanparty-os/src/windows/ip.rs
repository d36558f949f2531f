//! Routes, interfaces and addresses, by way of the IP Helper.

use std::ffi::c_void;
use std::io;
use std::net::IpAddr;
use std::os::windows::io::{AsHandle, AsRawHandle as _, BorrowedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_NOT_FOUND, ERROR_OBJECT_ALREADY_EXISTS, HANDLE};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    CancelMibChangeNotify2, ConvertInterfaceGuidToLuid, ConvertInterfaceIndexToLuid,
    ConvertInterfaceLuidToIndex, CreateIpForwardEntry2, CreateUnicastIpAddressEntry,
    DeleteIpForwardEntry2, DeleteUnicastIpAddressEntry, FreeMibTable, GetBestRoute2, GetIfTable2,
    GetIpForwardTable2, GetIpInterfaceEntry, GetUnicastIpAddressTable, InitializeIpForwardEntry,
    InitializeIpInterfaceEntry, InitializeUnicastIpAddressEntry, MIB_IF_TABLE2, MIB_IPFORWARD_ROW2,
    MIB_IPFORWARD_TABLE2, MIB_IPINTERFACE_ROW, MIB_NOTIFICATION_TYPE, MIB_UNICASTIPADDRESS_ROW,
    MIB_UNICASTIPADDRESS_TABLE, NotifyIpInterfaceChange, NotifyRouteChange2,
    NotifyUnicastIpAddressChange, SetIpInterfaceEntry,
};
use windows_sys::Win32::NetworkManagement::Ndis::{IfOperStatusUp, NET_LUID_LH};
use windows_sys::Win32::Networking::WinSock::{AF_UNSPEC, MIB_IPPROTO_NETMGMT, SOCKADDR_INET};
use windows_sys::Win32::System::Threading::SetEvent;
use windows_sys::core::GUID;

use super::guid::Guid;
use super::overlapped::Event;
use super::registry::checked;
use super::rows::{FAMILY_V4, FAMILY_V6, RawAddress, RawRoute, RawUnicast, Route, Unicast};
use crate::prefix::{Family, Prefix};

/// Every route of this machine.
///
/// # Errors
/// When the system does not tell.
pub fn routes() -> io::Result<Vec<Route>> {
    let mut table: *mut MIB_IPFORWARD_TABLE2 = ptr::null_mut();
    // SAFETY: `table` is written on success.
    checked(unsafe { GetIpForwardTable2(AF_UNSPEC, &raw mut table) })?;
    let _freed = Table(table.cast());
    // SAFETY: the table holds as many rows as it says, and lives until freed.
    let rows = unsafe {
        let count = usize::try_from((*table).NumEntries).unwrap_or(0);
        std::slice::from_raw_parts(
            (&raw const (*table).Table).cast::<MIB_IPFORWARD_ROW2>(),
            count,
        )
    };
    Ok(rows
        .iter()
        .filter_map(|row| raw_route(row).check())
        .collect())
}

/// What the system would choose for a packet to `to`, and the address that the
/// packet would carry; None where it has no way.
///
/// # Errors
/// When the system does not answer such questions.
pub fn best_route(to: IpAddr) -> io::Result<Option<(Route, Option<IpAddr>)>> {
    let to = socket_address(to);
    let mut row = MIB_IPFORWARD_ROW2::default();
    let mut source = SOCKADDR_INET::default();
    // SAFETY: no interface and no source are asked for; the rest is ours.
    let status = unsafe {
        GetBestRoute2(
            ptr::null(),
            0,
            ptr::null(),
            &raw const to,
            0,
            &raw mut row,
            &raw mut source,
        )
    };
    match checked(status) {
        Ok(()) => Ok(raw_route(&row)
            .check()
            .map(|route| (route, raw_address(&source).ip()))),
        Err(error)
            if error.raw_os_error() == i32::try_from(ERROR_NOT_FOUND).ok()
                || error.kind() == io::ErrorKind::NetworkUnreachable
                || error.kind() == io::ErrorKind::HostUnreachable =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Adds a route that ends with the machine.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] where the same is there, or as the system
/// refuses.
pub fn add_route(route: &Route) -> io::Result<()> {
    let mut row = MIB_IPFORWARD_ROW2::default();
    // SAFETY: the row is ours.
    unsafe { InitializeIpForwardEntry(&raw mut row) };
    identify(&mut row, route);
    row.Metric = route.metric;
    row.Protocol = MIB_IPPROTO_NETMGMT;
    // SAFETY: the row is complete.
    added(checked(unsafe { CreateIpForwardEntry2(&raw const row) }))
}

/// False where there is no such route.
///
/// # Errors
/// As the system refuses.
pub fn delete_route(route: &Route) -> io::Result<bool> {
    let mut row = MIB_IPFORWARD_ROW2::default();
    identify(&mut row, route);
    // SAFETY: the row holds what names a route: interface, destination and hop.
    found(checked(unsafe { DeleteIpForwardEntry2(&raw const row) }))
}

/// Every address of this machine.
///
/// # Errors
/// When the system does not tell.
pub fn addresses() -> io::Result<Vec<Unicast>> {
    let mut table: *mut MIB_UNICASTIPADDRESS_TABLE = ptr::null_mut();
    // SAFETY: `table` is written on success.
    checked(unsafe { GetUnicastIpAddressTable(AF_UNSPEC, &raw mut table) })?;
    let _freed = Table(table.cast());
    // SAFETY: the table holds as many rows as it says, and lives until freed.
    let rows = unsafe {
        let count = usize::try_from((*table).NumEntries).unwrap_or(0);
        let first = (&raw const (*table).Table).cast::<MIB_UNICASTIPADDRESS_ROW>();
        std::slice::from_raw_parts(first, count)
    };
    let raw = |row: &MIB_UNICASTIPADDRESS_ROW| RawUnicast {
        address: raw_address(&row.Address),
        prefix_length: row.OnLinkPrefixLength,
        interface: row.InterfaceIndex,
        origin: row.PrefixOrigin,
        dad_state: row.DadState,
    };
    Ok(rows.iter().filter_map(|row| raw(row).check()).collect())
}

/// Gives an interface an address until the machine's next start.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] where it has it, or as the system refuses.
pub fn add_address(luid: u64, prefix: Prefix) -> io::Result<()> {
    let row = address_row(luid, prefix);
    // SAFETY: the row is complete.
    added(checked(unsafe {
        CreateUnicastIpAddressEntry(&raw const row)
    }))
}

/// False where the interface has no such address.
///
/// # Errors
/// As the system refuses.
pub fn delete_address(luid: u64, prefix: Prefix) -> io::Result<bool> {
    let row = address_row(luid, prefix);
    // SAFETY: the row is complete.
    found(checked(unsafe {
        DeleteUnicastIpAddressEntry(&raw const row)
    }))
}

/// The indices of interfaces that can pass packets.
///
/// # Errors
/// When the system does not tell.
pub fn usable_interfaces() -> io::Result<Vec<u32>> {
    let mut table: *mut MIB_IF_TABLE2 = ptr::null_mut();
    // SAFETY: `table` is written on success.
    checked(unsafe { GetIfTable2(&raw mut table) })?;
    let _freed = Table(table.cast());
    // SAFETY: the table holds as many rows as it says, and lives until freed.
    let rows = unsafe {
        let count = usize::try_from((*table).NumEntries).unwrap_or(0);
        std::slice::from_raw_parts((&raw const (*table).Table).cast(), count)
    };
    let usable = |row: &&windows_sys::Win32::NetworkManagement::IpHelper::MIB_IF_ROW2| {
        row.OperStatus == IfOperStatusUp
    };
    Ok(rows
        .iter()
        .filter(usable)
        .map(|row| row.InterfaceIndex)
        .collect())
}

/// The interface of an adapter: its LUID and its index; None where there is no
/// such interface.
#[must_use]
pub fn interface_of(adapter: Guid) -> Option<(u64, u32)> {
    let guid = GUID::from_u128(adapter.0);
    let mut luid = NET_LUID_LH::default();
    let mut index = 0;
    // SAFETY: both are ours; `luid` is written on success.
    let found = unsafe {
        ConvertInterfaceGuidToLuid(&raw const guid, &raw mut luid) == 0
            && ConvertInterfaceLuidToIndex(&raw const luid, &raw mut index) == 0
    };
    // SAFETY: every part of the union is a number.
    found.then(|| (unsafe { luid.Value }, index))
}

/// None where there is no such interface.
#[must_use]
pub fn luid_of_index(index: u32) -> Option<u64> {
    let mut luid = NET_LUID_LH::default();
    // SAFETY: `luid` is ours and written on success.
    let found = unsafe { ConvertInterfaceIndexToLuid(index, &raw mut luid) == 0 };
    // SAFETY: every part of the union is a number.
    found.then(|| unsafe { luid.Value })
}

/// What one family has set for an interface.
#[derive(Clone)]
pub struct IpInterface(MIB_IPINTERFACE_ROW);

impl IpInterface {
    /// None where the interface is gone or does without this family.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn read(luid: u64, family: Family) -> io::Result<Option<Self>> {
        let mut row = MIB_IPINTERFACE_ROW::default();
        // SAFETY: the row is ours.
        unsafe { InitializeIpInterfaceEntry(&raw mut row) };
        row.Family = family_number(family);
        row.InterfaceLuid.Value = luid;
        // SAFETY: the row names family and interface.
        Ok(found(checked(unsafe { GetIpInterfaceEntry(&raw mut row) }))?.then_some(Self(row)))
    }

    /// None where the system chooses it.
    #[must_use]
    pub const fn metric(&self) -> Option<u32> {
        if self.0.UseAutomaticMetric {
            None
        } else {
            Some(self.0.Metric)
        }
    }

    /// What is added to the metric of every route of this interface.
    #[must_use]
    pub const fn effective_metric(&self) -> u32 {
        self.0.Metric
    }

    pub const fn set_metric(&mut self, metric: Option<u32>) {
        self.0.UseAutomaticMetric = metric.is_none();
        if let Some(metric) = metric {
            self.0.Metric = metric;
        }
    }

    #[must_use]
    pub const fn mtu(&self) -> u32 {
        self.0.NlMtu
    }

    pub const fn set_mtu(&mut self, mtu: u32) {
        self.0.NlMtu = mtu;
    }

    #[must_use]
    pub const fn ignores_default_routes(&self) -> bool {
        self.0.DisableDefaultRoutes
    }

    pub const fn set_ignores_default_routes(&mut self, ignore: bool) {
        self.0.DisableDefaultRoutes = ignore;
    }

    /// `NL_ROUTER_DISCOVERY_BEHAVIOR`.
    #[must_use]
    pub const fn router_discovery(&self) -> i32 {
        self.0.RouterDiscoveryBehavior
    }

    pub const fn set_router_discovery(&mut self, behaviour: i32) {
        self.0.RouterDiscoveryBehavior = behaviour;
    }

    #[must_use]
    pub const fn forwards(&self) -> bool {
        self.0.ForwardingEnabled
    }

    pub const fn set_forwards(&mut self, forward: bool) {
        self.0.ForwardingEnabled = forward;
    }

    /// # Errors
    /// As the system refuses.
    pub fn write(&self) -> io::Result<()> {
        let mut row = self.0;
        if row.Family == FAMILY_V4 {
            // What reading leaves there, writing refuses for IPv4, which has no
            // sites.
            row.SitePrefixLength = 0;
        }
        // SAFETY: the row is as it was read, but for the settings.
        checked(unsafe { SetIpInterfaceEntry(&raw mut row) })
    }
}

impl std::fmt::Debug for IpInterface {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IpInterface")
            .field("index", &self.0.InterfaceIndex)
            .field("metric", &self.metric())
            .field("mtu", &self.mtu())
            .finish_non_exhaustive()
    }
}

/// Sets an event whenever routes, interfaces or addresses have changed.
#[derive(Debug)]
pub struct Monitor {
    /// Cancelled before the event is closed.
    _registrations: Vec<Registration>,
    event: Event,
}

impl Monitor {
    /// # Errors
    /// When the system does not take notice.
    pub fn new() -> io::Result<Self> {
        let event = Event::new()?;
        let context = event.as_handle().as_raw_handle();
        let mut registrations = Vec::new();
        let mut register = |call: &dyn Fn(*mut HANDLE) -> u32| {
            let mut handle = ptr::null_mut();
            checked(call(&raw mut handle))?;
            if !handle.is_null() {
                registrations.push(Registration(handle));
            }
            io::Result::Ok(())
        };
        // SAFETY: the callbacks take an event as their context, which is closed
        // only after they are cancelled.
        register(&|handle| unsafe {
            NotifyRouteChange2(AF_UNSPEC, Some(on_route), context, false, handle)
        })?;
        // SAFETY: as above.
        register(&|handle| unsafe {
            NotifyIpInterfaceChange(AF_UNSPEC, Some(on_interface), context, false, handle)
        })?;
        // SAFETY: as above.
        register(&|handle| unsafe {
            NotifyUnicastIpAddressChange(AF_UNSPEC, Some(on_address), context, false, handle)
        })?;
        Ok(Self {
            _registrations: registrations,
            event,
        })
    }

    /// Whether something has changed since the last call.
    ///
    /// # Errors
    /// When the event cannot be waited for.
    pub fn take(&self) -> io::Result<bool> {
        let changed = self.event.is_set()?;
        if changed {
            self.event.reset();
        }
        Ok(changed)
    }
}

impl AsHandle for Monitor {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.event.as_handle()
    }
}

#[derive(Debug)]
struct Registration(HANDLE);

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: registered once and cancelled once; waits for callbacks that run.
        unsafe { CancelMibChangeNotify2(self.0) };
    }
}

unsafe extern "system" fn on_route(
    event: *const c_void,
    _: *const MIB_IPFORWARD_ROW2,
    _: MIB_NOTIFICATION_TYPE,
) {
    // SAFETY: the context is an event that is open while callbacks can come.
    unsafe { SetEvent(event.cast_mut()) };
}

unsafe extern "system" fn on_interface(
    event: *const c_void,
    _: *const MIB_IPINTERFACE_ROW,
    _: MIB_NOTIFICATION_TYPE,
) {
    // SAFETY: as in `on_route`.
    unsafe { SetEvent(event.cast_mut()) };
}

unsafe extern "system" fn on_address(
    event: *const c_void,
    _: *const MIB_UNICASTIPADDRESS_ROW,
    _: MIB_NOTIFICATION_TYPE,
) {
    // SAFETY: as in `on_route`.
    unsafe { SetEvent(event.cast_mut()) };
}

/// A table that the IP Helper has made for us.
struct Table(*const c_void);

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: made by the IP Helper and freed once.
        unsafe { FreeMibTable(self.0) };
    }
}

/// The IP Helper has its own word for it.
fn added(result: io::Result<()>) -> io::Result<()> {
    result.map_err(|error| {
        if error.raw_os_error() == i32::try_from(ERROR_OBJECT_ALREADY_EXISTS).ok() {
            io::ErrorKind::AlreadyExists.into()
        } else {
            error
        }
    })
}

fn found(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                || error.raw_os_error() == i32::try_from(ERROR_NOT_FOUND).ok() =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn identify(row: &mut MIB_IPFORWARD_ROW2, route: &Route) {
    row.InterfaceLuid.Value = route.luid;
    row.InterfaceIndex = route.interface;
    row.DestinationPrefix.Prefix = socket_address(route.destination.address);
    row.DestinationPrefix.PrefixLength = route.destination.length;
    let on_link = match route.destination.family() {
        Family::V4 => Prefix::DEFAULT_V4,
        Family::V6 => Prefix::DEFAULT_V6,
    };
    row.NextHop = socket_address(route.next_hop.unwrap_or(on_link.address));
}

fn address_row(luid: u64, prefix: Prefix) -> MIB_UNICASTIPADDRESS_ROW {
    let mut row = MIB_UNICASTIPADDRESS_ROW::default();
    // SAFETY: the row is ours.
    unsafe { InitializeUnicastIpAddressEntry(&raw mut row) };
    row.InterfaceLuid.Value = luid;
    row.Address = socket_address(prefix.address);
    row.OnLinkPrefixLength = prefix.length;
    row
}

fn raw_route(row: &MIB_IPFORWARD_ROW2) -> RawRoute {
    RawRoute {
        destination: raw_address(&row.DestinationPrefix.Prefix),
        prefix_length: row.DestinationPrefix.PrefixLength,
        next_hop: raw_address(&row.NextHop),
        interface: row.InterfaceIndex,
        // SAFETY: every part of the union is a number.
        luid: unsafe { row.InterfaceLuid.Value },
        metric: row.Metric,
    }
}

fn raw_address(address: &SOCKADDR_INET) -> RawAddress {
    // SAFETY: every part of the union is plain numbers, and all of it is set.
    unsafe {
        RawAddress {
            family: address.si_family,
            v4: address.Ipv4.sin_addr.S_un.S_addr.to_ne_bytes(),
            v6: address.Ipv6.sin6_addr.u.Byte,
        }
    }
}

fn socket_address(address: IpAddr) -> SOCKADDR_INET {
    let raw = RawAddress::of(address);
    let mut inet = SOCKADDR_INET::default();
    match address {
        IpAddr::V4(_) => inet.Ipv4.sin_addr.S_un.S_addr = u32::from_ne_bytes(raw.v4),
        IpAddr::V6(_) => inet.Ipv6.sin6_addr.u.Byte = raw.v6,
    }
    inet.si_family = raw.family;
    inet
}

const fn family_number(family: Family) -> u16 {
    match family {
        Family::V4 => FAMILY_V4,
        Family::V6 => FAMILY_V6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_back_as_they_were_written() {
        for text in ["192.0.2.1", "2001:db8::7"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(raw_address(&socket_address(address)).ip(), Some(address));
        }
    }

    #[test]
    fn this_machine_has_the_loopback_address_on_an_interface_that_is_up() {
        let loopback = Prefix::host("127.0.0.1".parse().unwrap()).address;
        let addresses = addresses().unwrap();
        let own = addresses
            .iter()
            .find(|own| own.prefix.address == loopback)
            .unwrap();
        assert!(usable_interfaces().unwrap().contains(&own.interface));
        routes().unwrap();
    }

    #[test]
    fn an_adapter_that_does_not_exist_has_no_interface() {
        assert_eq!(interface_of(Guid(7)), None);
    }

    #[test]
    fn a_monitor_is_silent_while_nothing_changes() {
        let monitor = Monitor::new().unwrap();
        assert!(!monitor.take().unwrap());
    }
}
