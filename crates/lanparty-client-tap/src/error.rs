//! Why there is no adapter, in sentences that say what to do.

#[derive(Debug, thiserror::Error)]
pub enum TapError {
    #[error(
        "this machine has no /dev/net/tun, which virtual network adapters need; load it with `modprobe tun` (in a container, pass the device in)"
    )]
    DeviceMissing,
    #[error(
        "creating a network adapter needs the capability CAP_NET_ADMIN; run with sudo, or see \"Running without root\" in docs/operating.md"
    )]
    NotPermitted,
    #[error(
        "there is already a network interface named {name}; end the program that owns it, or choose another name with --tap-name"
    )]
    NameInUse { name: String },
    #[error(
        "{name:?} cannot be the name of a network interface; use 1 to 15 letters, digits, '-' or '_'"
    )]
    Name { name: String },
    #[error("this operating system has no supported TAP driver")]
    Unsupported,
    #[error("the network adapter {name} vanished while it was being set up")]
    Gone { name: String },
    #[error("cannot set up the network adapter {name}")]
    Settings {
        name: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
