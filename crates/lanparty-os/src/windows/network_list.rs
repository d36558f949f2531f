//! What Windows thinks of the network behind an adapter: its firewall is open
//! to games on private networks and closed on public ones.
//!
//! The Network List Manager knows a network some seconds after its adapter has
//! come up, so a caller asks again.

use std::io;

use windows::Win32::Foundation::RPC_E_CHANGED_MODE;
use windows::Win32::Networking::NetworkListManager::{
    INetwork, INetworkListManager, NLM_NETWORK_CATEGORY, NLM_NETWORK_CATEGORY_PRIVATE,
    NLM_NETWORK_CATEGORY_PUBLIC, NetworkListManager,
};
use windows::Win32::System::Com::{
    CLSCTX_ALL, COINIT_MULTITHREADED, CoCreateInstance, CoInitializeEx, CoUninitialize,
};

use super::guid::Guid;

/// As the journal has them.
pub const PRIVATE: &str = "private";
const PUBLIC: &str = "public";

/// `private`, `public`, or the number of something else; None where Windows
/// knows no network behind the adapter.
///
/// # Errors
/// When the Network List Manager does not answer.
pub fn category(adapter: Guid) -> io::Result<Option<String>> {
    with_network(adapter, |network| {
        // SAFETY: a live COM object of its own type.
        let category = unsafe { network.GetCategory()? };
        Ok(match category {
            NLM_NETWORK_CATEGORY_PRIVATE => PRIVATE.to_owned(),
            NLM_NETWORK_CATEGORY_PUBLIC => PUBLIC.to_owned(),
            NLM_NETWORK_CATEGORY(other) => other.to_string(),
        })
    })
}

/// # Errors
/// When Windows knows no network behind the adapter, or refuses.
pub fn set_category(adapter: Guid, category: &str) -> io::Result<()> {
    let category = match category {
        PRIVATE => NLM_NETWORK_CATEGORY_PRIVATE,
        PUBLIC => NLM_NETWORK_CATEGORY_PUBLIC,
        other => NLM_NETWORK_CATEGORY(other.parse().map_err(io::Error::other)?),
    };
    // SAFETY: a live COM object of its own type.
    let set = with_network(adapter, |network| unsafe { network.SetCategory(category) })?;
    set.ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn with_network<T>(
    adapter: Guid,
    use_it: impl FnOnce(&INetwork) -> windows::core::Result<T>,
) -> io::Result<Option<T>> {
    let _com = Com::begin()?;
    // SAFETY: COM is initialized on this thread until `_com` is dropped, which
    // is after every object that is made here.
    let network = unsafe { find(adapter)? };
    Ok(network.as_ref().map(use_it).transpose()?)
}

/// # Safety
/// COM is initialized on this thread, and outlives what is returned.
unsafe fn find(adapter: Guid) -> windows::core::Result<Option<INetwork>> {
    // SAFETY: as the caller promises; each object is alive while it is asked.
    unsafe {
        let manager: INetworkListManager = CoCreateInstance(&NetworkListManager, None, CLSCTX_ALL)?;
        let connections = manager.GetNetworkConnections()?;
        loop {
            let mut next = [None];
            let mut count = 0;
            connections.Next(&mut next, Some(&raw mut count))?;
            let [Some(connection)] = next else {
                return Ok(None);
            };
            if connection.GetAdapterId()?.to_u128() == adapter.0 {
                return connection.GetNetwork().map(Some);
            }
        }
    }
}

/// COM on this thread.
struct Com {
    is_ours: bool,
}

impl Com {
    fn begin() -> io::Result<Self> {
        // SAFETY: ended in `drop`, on the same thread because this never leaves it.
        let result = unsafe { CoInitializeEx(None, COINIT_MULTITHREADED) };
        if result == RPC_E_CHANGED_MODE {
            // Somebody has begun it in another way, which does as well.
            return Ok(Self { is_ours: false });
        }
        result.ok()?;
        Ok(Self { is_ours: true })
    }
}

impl Drop for Com {
    fn drop(&mut self) {
        if self.is_ours {
            // SAFETY: begun by us.
            unsafe { CoUninitialize() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_that_does_not_exist_has_no_network() {
        // Where the service does not run, that is an error and nothing worse.
        if let Ok(category) = category(Guid(7)) {
            assert_eq!(category, None);
        }
    }
}
