//! TAP adapters as the registry of a prefix describes them.

use std::fmt::Write as _;

use anyhow::Result;

use crate::sandbox::sh;

/// The registry class of network adapters.
const NETWORK_CLASS: &str = "{4D36E972-E325-11CE-BFC1-08002BE10318}";
const CONTROL: &str = "System\\CurrentControlSet\\Control";

/// One adapter of the stand-in driver.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// The interface's index on the Linux side; everything else follows from it.
    pub index: u32,
    /// The interface's name on the Linux side.
    pub interface: &'static str,
    /// The connection's name as people see it on Windows.
    pub connection: &'static str,
    pub component: &'static str,
    /// What the driver answers when asked for its version.
    pub version: (u16, u16),
    /// The driver keeps its own MAC whatever the registry says.
    pub stubborn_mac: bool,
}

impl Adapter {
    /// An adapter as the driver's installer leaves it.
    #[must_use]
    pub const fn ordinary() -> Self {
        Self {
            index: 77,
            interface: "lanparty0",
            connection: "Ethernet 2",
            component: "tap0901",
            version: (9, 27),
            stubborn_mac: false,
        }
    }

    /// The adapter that some other program of the player's uses.
    #[must_use]
    pub const fn of_another_program() -> Self {
        Self {
            index: 78,
            interface: "tap1",
            connection: "OtherVPN",
            component: "root\\tap0901",
            version: (9, 27),
            stubborn_mac: false,
        }
    }

    /// Wine makes an interface's GUID from its Linux index ("NetDev" in ASCII
    /// follows), so registry, driver and IP Helper agree on who is who.
    #[must_use]
    pub fn guid(&self) -> String {
        format!("{{{:08X}-0000-0000-0000-4E6574446576}}", self.index)
    }

    /// Makes an interface for this adapter where no cable is plugged in, in the
    /// caller's network namespace.
    ///
    /// # Errors
    /// When the index or the name is taken.
    pub fn stand_in_link(&self) -> Result<()> {
        sh(&format!(
            "ip link add {} index {} type veth peer name {0}-far && ip link set {0} up",
            self.interface, self.index
        ))
    }

    /// A home with a router in this namespace, for tests that look for the way
    /// to the rest of the world.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn stand_in_home() -> Result<()> {
        sh(
            "ip link add home0 type veth peer name home0-far && ip link set home0 up \
            && ip address add 192.168.1.50/24 dev home0 \
            && ip route add default via 192.168.1.1",
        )
    }

    fn instance(&self) -> String {
        format!("ROOT\\NET\\{:04}", self.index)
    }

    /// This adapter's part of a registry file; `number` is its place among the
    /// machine's adapters.
    #[must_use]
    pub(super) fn registry(&self, number: usize) -> String {
        let guid = self.guid();
        // Small numbers are those of other adapters on a real machine.
        let class = format!("{CONTROL}\\Class\\{NETWORK_CLASS}\\{:04}", number + 7);
        let version = u32::from(self.version.0) << 16 | u32::from(self.version.1);
        let mut text = String::new();
        let mut key = |path: &str, values: &[(&str, Value<'_>)]| {
            let _infallible = write!(text, "\n[{}] 1\n", escape(path));
            for (name, value) in values {
                let _infallible = match value {
                    Value::Text(value) => writeln!(text, "\"{name}\"=\"{}\"", escape(value)),
                    Value::Number(value) => writeln!(text, "\"{name}\"=dword:{value:08x}"),
                };
            }
        };
        key(
            &format!("System\\CurrentControlSet\\Services\\faketap\\Adapters\\{guid}"),
            &[
                (
                    "ClassKey",
                    Value::Text(&format!("\\Registry\\Machine\\{class}")),
                ),
                ("InstanceId", Value::Text(&self.instance())),
                ("Version", Value::Number(version)),
                ("StubbornMac", Value::Number(u32::from(self.stubborn_mac))),
            ],
        );
        key(
            &class,
            &[
                ("ComponentId", Value::Text(self.component)),
                ("DriverDesc", Value::Text("TAP-Windows Adapter V9")),
                ("ProviderName", Value::Text("TAP-Windows Provider V9")),
                (
                    "DriverVersion",
                    Value::Text(&format!("{}.{}.0.0", self.version.0, self.version.1)),
                ),
                ("NetCfgInstanceId", Value::Text(&guid)),
                ("DeviceInstanceID", Value::Text(&self.instance())),
                ("MatchingDeviceId", Value::Text(self.component)),
            ],
        );
        key(
            &format!("{CONTROL}\\Network\\{NETWORK_CLASS}\\{guid}\\Connection"),
            &[
                ("Name", Value::Text(self.connection)),
                ("PnPInstanceID", Value::Text(&self.instance())),
            ],
        );
        text
    }
}

enum Value<'a> {
    Text(&'a str),
    Number(u32),
}

/// Wine's registry files double their backslashes.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_is_described_under_one_guid_everywhere() {
        let text = Adapter::ordinary().registry(0);
        let guid = "{0000004D-0000-0000-0000-4E6574446576}";
        assert_eq!(text.matches(guid).count(), 3, "{text}");
        assert!(text.contains("\"Version\"=dword:0009001b"), "{text}");
        assert!(
            text.contains("\"DeviceInstanceID\"=\"ROOT\\\\NET\\\\0077\""),
            "{text}"
        );
    }
}
