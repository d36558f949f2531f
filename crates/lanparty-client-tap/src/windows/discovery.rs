//! Which of the machine's adapters is ours to use.

use std::fmt;

use lanparty_os::windows::guid::Guid;
use lanparty_os::windows::rows::AdapterValues;

use super::control::Version;
use crate::TapError;

/// How the driver's adapters call themselves, installed by its own installer
/// or by device.
const COMPONENTS: [&str; 2] = ["tap0901", r"root\tap0901"];

/// An adapter of the TAP-Windows6 driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub guid: Guid,
    /// The connection's name, as people see it.
    pub name: String,
    /// As the registry has it; the driver itself is asked later.
    pub version: Option<Version>,
    /// What the device manager calls it.
    pub device: Option<String>,
}

/// One line of a list.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.guid, self.name)?;
        match self.version {
            Some(version) => write!(f, ", driver {version}"),
            None => write!(f, ", driver of unknown version"),
        }
    }
}

/// Why an adapter was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Named with `--tap-instance-id`.
    Chosen,
    /// Has the name of an adapter of our own.
    Own,
    /// The first of so many.
    First { of: usize },
    /// Made just now.
    Made,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chosen => f.write_str("chosen with --tap-instance-id"),
            Self::Own => f.write_str("made for the party"),
            Self::First { of: 1 } => f.write_str("the only one of its driver"),
            Self::First { of } => write!(
                f,
                "the first of {of}; choose another one with --tap-instance-id"
            ),
            Self::Made => f.write_str("made just now"),
        }
    }
}

/// The driver's adapters among all, in the registry's order.
#[must_use]
pub fn of_driver(adapters: &[AdapterValues]) -> Vec<Found> {
    let is_ours = |values: &&AdapterValues| {
        values.component_id.as_ref().is_some_and(|id| {
            COMPONENTS
                .iter()
                .any(|component| id.eq_ignore_ascii_case(component))
        })
    };
    let found = |values: &AdapterValues| {
        let guid: Guid = values.instance_id.as_ref()?.parse().ok()?;
        let name = values.connection.clone().filter(|name| !name.is_empty());
        Some(Found {
            guid,
            name: name.unwrap_or_else(|| guid.to_string()),
            version: values.driver_version.as_deref().and_then(Version::parse),
            device: values.device.clone(),
        })
    };
    adapters.iter().filter(is_ours).filter_map(found).collect()
}

/// The adapter with the wanted id; else the one of our own name, else the
/// first. None where one has to be made.
///
/// # Errors
/// When there is none with the wanted id.
pub fn choose(
    found: &[Found],
    wanted: Option<Guid>,
    own_name: &str,
) -> Result<Option<(Found, Reason)>, TapError> {
    if let Some(wanted) = wanted {
        let chosen = found.iter().find(|adapter| adapter.guid == wanted);
        let chosen = chosen.ok_or_else(|| TapError::NoSuchAdapter {
            id: wanted.to_string(),
            others: found.iter().map(ToString::to_string).collect(),
        })?;
        return Ok(Some((chosen.clone(), Reason::Chosen)));
    }
    let own = found
        .iter()
        .find(|adapter| adapter.name.eq_ignore_ascii_case(own_name));
    if let Some(own) = own {
        return Ok(Some((own.clone(), Reason::Own)));
    }
    let of = found.len();
    Ok(found
        .first()
        .map(|first| (first.clone(), Reason::First { of })))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDS: [&str; 3] = [
        "{00000001-0000-0000-0000-4E6574446576}",
        "{00000002-0000-0000-0000-4E6574446576}",
        "{00000003-0000-0000-0000-4E6574446576}",
    ];

    fn values(component: &str, guid: &str, name: &str) -> AdapterValues {
        AdapterValues {
            component_id: Some(component.to_owned()),
            instance_id: Some(guid.to_owned()),
            driver_version: Some("9.27.0.0".to_owned()),
            connection: Some(name.to_owned()),
            device: Some("ROOT\\NET\\0000".to_owned()),
        }
    }

    fn found() -> Vec<Found> {
        of_driver(&[
            values("pci\\ven_8086", GUIDS[0], "Ethernet"),
            values("tap0901", GUIDS[1], "OpenVPN"),
            values("ROOT\\TAP0901", GUIDS[2], "lanparty0"),
        ])
    }

    #[test]
    fn only_the_drivers_adapters_are_found_however_they_were_installed() {
        let names: Vec<_> = found().into_iter().map(|found| found.name).collect();
        assert_eq!(names, ["OpenVPN", "lanparty0"]);
    }

    #[test]
    fn the_chosen_one_then_our_own_then_the_first_is_taken() {
        let found = found();
        let choose = |found: &[Found], wanted: Option<&str>| {
            choose(found, wanted.map(|id| id.parse().unwrap()), "LanParty0").unwrap()
        };
        let taken = |choice: Option<(Found, Reason)>| choice.map(|(it, why)| (it.name, why));
        let name = |name: &str| name.to_owned();
        assert_eq!(
            taken(choose(&found, Some(GUIDS[1]))),
            Some((name("OpenVPN"), Reason::Chosen))
        );
        assert_eq!(
            taken(choose(&found, None)),
            Some((name("lanparty0"), Reason::Own))
        );
        assert_eq!(
            taken(choose(&found[..1], None)),
            Some((name("OpenVPN"), Reason::First { of: 1 }))
        );
        assert_eq!(choose(&[], None), None);
    }

    #[test]
    fn an_id_that_no_adapter_has_is_refused_with_those_that_there_are() {
        let wanted = GUIDS[0].parse().unwrap();
        let error = choose(&found(), Some(wanted), "lanparty0").unwrap_err();
        let text = error.to_string();
        assert!(text.contains(GUIDS[0]) && text.contains(GUIDS[1]), "{text}");
    }

    #[test]
    fn an_adapter_without_a_usable_id_is_left_out_and_one_without_a_name_is_not() {
        let mut broken = values("tap0901", "{nonsense}", "x");
        assert_eq!(of_driver(std::slice::from_ref(&broken)), []);
        broken.instance_id = None;
        assert_eq!(of_driver(std::slice::from_ref(&broken)), []);
        let mut nameless = values("tap0901", GUIDS[0], "");
        nameless.driver_version = Some("new".to_owned());
        let found = of_driver(&[nameless]);
        assert_eq!(found[0].name, GUIDS[0]);
        assert!(found[0].to_string().contains("unknown version"));
    }
}
