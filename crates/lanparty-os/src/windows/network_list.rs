//! What Windows thinks of the network behind an adapter: its firewall is open
//! to games on private networks and closed on public ones.
//!
//! The Network List Manager knows a network some seconds after its adapter has
//! come up, so a caller asks again.

use std::io;
use std::sync::OnceLock;

use windows::Win32::Networking::NetworkListManager::{
    INetwork, INetworkListManager, NLM_NETWORK_CATEGORY, NLM_NETWORK_CATEGORY_PRIVATE,
    NLM_NETWORK_CATEGORY_PUBLIC, NetworkListManager,
};
use windows::Win32::System::Com::{CLSCTX_ALL, CoCreateInstance, CoIncrementMTAUsage};
use windows::core::HRESULT;

use super::guid::Guid;

/// As the journal has them.
pub const PRIVATE: &str = "private";
pub const PUBLIC: &str = "public";

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
    use_com()?;
    // SAFETY: COM may be used from now on.
    let manager: INetworkListManager =
        unsafe { CoCreateInstance(&NetworkListManager, None, CLSCTX_ALL)? };
    // The manager lives until the network has been used: not every
    // implementation lets the one outlive the other.
    let network = find(&manager, adapter)?;
    Ok(network.as_ref().map(use_it).transpose()?)
}

fn find(manager: &INetworkListManager, adapter: Guid) -> windows::core::Result<Option<INetwork>> {
    // SAFETY: each object is alive and of its own type while it is asked.
    unsafe {
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

/// Lets every thread use COM, until the process ends: threads of this program
/// come and go, and COM unloads what it has loaded with the last of them.
fn use_com() -> io::Result<()> {
    static USED: OnceLock<Result<(), HRESULT>> = OnceLock::new();
    // SAFETY: what it returns is needed only to take it back.
    let begin = || {
        unsafe { CoIncrementMTAUsage() }
            .map(|_| ())
            .map_err(|error| error.code())
    };
    let begun = USED.get_or_init(begin);
    begun.map_err(|code| windows::core::Error::from(code).into())
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
