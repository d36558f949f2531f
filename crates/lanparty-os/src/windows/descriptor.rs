//! Security descriptors: who owns an object and who may do what with it.
//!
//! Self-relative, as [MS-DTYP] 2.4.6 has them.

use std::fmt;

/// May read or change the content of a file, or take it over: the rights
/// `FILE_READ_DATA`, `FILE_WRITE_DATA`, `FILE_APPEND_DATA`, `DELETE`,
/// `WRITE_DAC`, `WRITE_OWNER` and the generic ones that hold them.
pub const FILE_CONTENT: u32 = 0x1 | DIRECTORY_CONTENT | GENERIC_READ;
/// May change what a directory holds, or take it over: `FILE_ADD_FILE`,
/// `FILE_ADD_SUBDIRECTORY`, `FILE_DELETE_CHILD`, `DELETE`, `WRITE_DAC`,
/// `WRITE_OWNER` and the generic ones that hold them.
pub const DIRECTORY_CONTENT: u32 =
    0x2 | 0x4 | 0x40 | 0x1_0000 | 0x4_0000 | 0x8_0000 | GENERIC_WRITE | GENERIC_ALL;
const GENERIC_ALL: u32 = 0x1000_0000;
const GENERIC_WRITE: u32 = 0x4000_0000;
const GENERIC_READ: u32 = 0x8000_0000;
/// Everything that a file knows (`FILE_ALL_ACCESS`).
const FILE_ALL: u32 = 0x001F_01FF;

const HEADER_LEN: usize = 20;
const ACL_HEADER_LEN: usize = 8;
const ACE_HEADER_LEN: usize = 8;
const DACL_PRESENT: u16 = 0x0004;
/// Takes nothing over from the directory above.
const DACL_PROTECTED: u16 = 0x1000;
const SELF_RELATIVE: u16 = 0x8000;

const ALLOWED: u8 = 0;
const ALLOWED_CALLBACK: u8 = 9;
/// Entries that only take rights away: denied, and denied with an object or a
/// condition.
const DENIED: [u8; 4] = [1, 6, 10, 12];
/// Says nothing about the object itself.
const INHERIT_ONLY: u8 = 0x08;
/// For files and for directories in it.
const INHERITED_BY_ALL: u8 = 0x01 | 0x02;

/// A user or a group.
#[derive(Clone, PartialEq, Eq)]
pub struct Sid(Vec<u8>);

/// [MS-DTYP] 2.4.2.4: the system itself, its administrators, and whoever owns
/// an object, as the entry that limits owners names him.
const LOCAL_SYSTEM: &str = "S-1-5-18";
const ADMINISTRATORS: &str = "S-1-5-32-544";
const OWNER_RIGHTS: &str = "S-1-3-4";
/// The accounts of services.
const SERVICES: [&str; 3] = [LOCAL_SYSTEM, "S-1-5-19", "S-1-5-20"];

impl Sid {
    /// Reads a SID off the front of `bytes`.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let count = usize::from(*bytes.get(1)?);
        if bytes.first() != Some(&1) || count > 15 {
            return None;
        }
        bytes.get(..8 + 4 * count).map(|sid| Self(sid.to_vec()))
    }

    /// `S-1-AUTHORITY-...` with decimal numbers below 2^32.
    fn well_known(text: &str) -> Option<Self> {
        let mut numbers = text.strip_prefix("S-1-")?.split('-').map(str::parse::<u32>);
        let authority = numbers.next()?.ok()?;
        let parts: Vec<u32> = numbers.collect::<Result<_, _>>().ok()?;
        let mut sid = vec![1, u8::try_from(parts.len()).ok()?, 0, 0];
        sid.extend(authority.to_be_bytes());
        sid.extend(parts.iter().flat_map(|part| part.to_le_bytes()));
        Self::parse(&sid)
    }

    /// The group of all administrators.
    #[must_use]
    pub fn administrators() -> Option<Self> {
        Self::well_known(ADMINISTRATORS)
    }

    /// True for the accounts that have no home directory of a person.
    #[must_use]
    pub fn is_service(&self) -> bool {
        SERVICES.contains(&self.to_string().as_str())
    }

    fn is_trusted_by(&self, user: &Self) -> bool {
        self == user || [LOCAL_SYSTEM, ADMINISTRATORS].contains(&self.to_string().as_str())
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.0.get(2..8).unwrap_or_default();
        let authority = authority
            .iter()
            .fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
        write!(f, "S-1-{authority}")?;
        let (parts, _) = self.0.get(8..).unwrap_or_default().as_chunks();
        parts
            .iter()
            .try_for_each(|part| write!(f, "-{}", u32::from_le_bytes(*part)))
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The part of a security descriptor that says who may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    pub owner: Option<Sid>,
    /// None where there is no list, which means that everybody may everything.
    pub entries: Option<Vec<Entry>>,
}

/// What an entry of the list means to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Allowed {
        rights: u32,
        to: Sid,
    },
    /// Gives nothing: denies, or is only there for what lies inside.
    Nothing,
    /// May give anything to anybody.
    Unknown,
}

impl Descriptor {
    /// None where `bytes` are no self-relative descriptor.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let control = u16::from_le_bytes(bytes.get(2..4)?.try_into().ok()?);
        if bytes.first() != Some(&1) || control & SELF_RELATIVE == 0 {
            return None;
        }
        let owner = match part(bytes, 4)? {
            Some(sid) => Some(Sid::parse(sid)?),
            None => None,
        };
        let entries = match part(bytes, 16)? {
            Some(list) if control & DACL_PRESENT != 0 => Some(entries(list)?),
            Some(_) | None => None,
        };
        Some(Self { owner, entries })
    }

    /// True where nobody but `user`, the system and its administrators has any
    /// of `rights`.
    #[must_use]
    pub fn is_private_to(&self, user: &Sid, rights: u32) -> bool {
        // The owner can give himself every right.
        let Some(entries) = self.entries.as_ref().filter(|_| self.is_owned_by(user)) else {
            return false;
        };
        entries.iter().all(|entry| match entry {
            Entry::Allowed { rights: given, to } => {
                given & rights == 0 || to.is_trusted_by(user) || to.to_string() == OWNER_RIGHTS
            }
            Entry::Nothing => true,
            Entry::Unknown => false,
        })
    }

    /// True where it belongs to `user`, the system or its administrators.
    #[must_use]
    pub fn is_owned_by(&self, user: &Sid) -> bool {
        self.owner
            .as_ref()
            .is_some_and(|owner| owner.is_trusted_by(user))
    }
}

/// A descriptor for a new object that belongs to `user`, and that nobody else
/// but the system and its administrators may touch.
#[must_use]
pub fn private_to(user: &Sid) -> Vec<u8> {
    let trusted = [LOCAL_SYSTEM, ADMINISTRATORS].map(Sid::well_known);
    let mut list = Vec::new();
    let mut count = 0_u16;
    for sid in trusted.iter().flatten().chain([user]) {
        let len = u16::try_from(ACE_HEADER_LEN + sid.0.len()).unwrap_or(u16::MAX);
        list.extend([ALLOWED, INHERITED_BY_ALL]);
        list.extend(len.to_le_bytes());
        list.extend(FILE_ALL.to_le_bytes());
        list.extend(&sid.0);
        count += 1;
    }
    let len = u16::try_from(ACL_HEADER_LEN + list.len()).unwrap_or(u16::MAX);

    let mut bytes = vec![1, 0];
    bytes.extend((DACL_PRESENT | DACL_PROTECTED | SELF_RELATIVE).to_le_bytes());
    // The list begins behind the header and the owner behind the list. The
    // group is the process's; there is no audit list.
    let end = HEADER_LEN + usize::from(len);
    bytes.extend(u32::try_from(end).unwrap_or(0).to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend(u32::try_from(HEADER_LEN).unwrap_or(0).to_le_bytes());
    // Revision 2 of the list: no entries about parts of objects.
    bytes.extend([2, 0]);
    bytes.extend(len.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend([0, 0]);
    bytes.extend(list);
    bytes.extend(&user.0);
    bytes
}

/// What the offset at `at` leads to: `Some(None)` where it is zero.
fn part(bytes: &[u8], at: usize) -> Option<Option<&[u8]>> {
    let offset = u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
    match usize::try_from(offset).ok()? {
        0 => Some(None),
        offset if offset < HEADER_LEN => None,
        offset => bytes.get(offset..).map(Some),
    }
}

fn entries(list: &[u8]) -> Option<Vec<Entry>> {
    let len = u16::from_le_bytes(list.get(2..4)?.try_into().ok()?);
    let count = u16::from_le_bytes(list.get(4..6)?.try_into().ok()?);
    let mut rest = list.get(ACL_HEADER_LEN..usize::from(len))?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let [kind, flags, low, high, ..] = *rest else {
            return None;
        };
        let len = usize::from(u16::from_le_bytes([low, high]));
        let (entry, behind) = rest.split_at_checked(len).filter(|_| len >= 4)?;
        rest = behind;
        entries.push(match kind {
            _ if DENIED.contains(&kind) || flags & INHERIT_ONLY != 0 => Entry::Nothing,
            ALLOWED | ALLOWED_CALLBACK => Entry::Allowed {
                rights: u32::from_le_bytes(entry.get(4..8)?.try_into().ok()?),
                to: Sid::parse(entry.get(ACE_HEADER_LEN..)?)?,
            },
            _ => Entry::Unknown,
        });
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "S-1-5-21-1-2-3-1001";
    const EVERYBODY: &str = "S-1-1-0";

    fn sid(text: &str) -> Sid {
        Sid::well_known(text).unwrap()
    }

    fn descriptor(owner: &str, entries: Vec<Entry>) -> Descriptor {
        Descriptor {
            owner: Some(sid(owner)),
            entries: Some(entries),
        }
    }

    fn allowed(rights: u32, to: &str) -> Entry {
        Entry::Allowed {
            rights,
            to: sid(to),
        }
    }

    #[test]
    fn what_we_make_private_is_found_private() {
        let user = sid(USER);
        let found = Descriptor::parse(&private_to(&user)).unwrap();
        assert_eq!(found.entries.as_ref().map(Vec::len), Some(3));
        assert!(found.is_private_to(&user, FILE_CONTENT));
        assert!(!found.is_private_to(&sid("S-1-5-21-1-2-3-1002"), FILE_CONTENT));
    }

    #[test]
    fn one_reader_too_many_is_noticed() {
        let user = sid(USER);
        let private = |entries| descriptor(USER, entries).is_private_to(&user, FILE_CONTENT);
        assert!(private(vec![allowed(FILE_ALL, USER)]));
        assert!(!private(vec![
            allowed(FILE_ALL, USER),
            allowed(1, EVERYBODY)
        ]));
        assert!(!private(vec![allowed(GENERIC_READ, EVERYBODY)]));
        // To see that it is there, and its attributes.
        assert!(private(vec![allowed(0x80, EVERYBODY)]));
        assert!(private(vec![Entry::Nothing]));
        assert!(!private(vec![Entry::Unknown]));
    }

    #[test]
    fn a_directory_may_be_read_but_not_written_by_others() {
        let user = sid(USER);
        let safe = |rights| {
            descriptor(ADMINISTRATORS, vec![allowed(rights, EVERYBODY)])
                .is_private_to(&user, DIRECTORY_CONTENT)
        };
        assert!(safe(0x0012_00A9));
        assert!(!safe(0x0013_01BF));
        assert!(!safe(0x2));
    }

    #[test]
    fn a_strangers_file_is_never_private_and_neither_is_one_without_a_list() {
        let user = sid(USER);
        assert!(!descriptor(EVERYBODY, vec![]).is_private_to(&user, FILE_CONTENT));
        let open = Descriptor {
            owner: Some(user.clone()),
            entries: None,
        };
        assert!(!open.is_private_to(&user, FILE_CONTENT));
        assert!(open.is_owned_by(&user));
    }

    #[test]
    fn entries_for_what_lies_inside_say_nothing_about_the_object() {
        let mut bytes = private_to(&sid(EVERYBODY));
        let last = bytes.len() - 2 * sid(EVERYBODY).0.len() - ACE_HEADER_LEN;
        bytes[last + 1] |= INHERIT_ONLY;
        let found = Descriptor::parse(&bytes).unwrap();
        assert_eq!(found.entries.unwrap()[2], Entry::Nothing);
    }

    #[test]
    fn the_accounts_of_services_are_known() {
        assert!(sid(LOCAL_SYSTEM).is_service());
        assert!(!sid(USER).is_service());
        assert_eq!(sid(USER).to_string(), USER);
    }

    #[test]
    fn a_descriptor_cut_anywhere_is_refused() {
        let bytes = private_to(&sid(USER));
        for len in 0..bytes.len() {
            assert_eq!(Descriptor::parse(&bytes[..len]), None, "{len}");
        }
    }
}
