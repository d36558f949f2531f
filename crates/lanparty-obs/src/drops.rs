//! One counter for each [`DropReason`].

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::DropReason;

/// How often each reason struck. Counters saturate.
///
/// In JSON an object of labels and counts that leaves zeros out. Labels of a
/// newer version are skipped on reading, because the sender's total does not
/// depend on this side knowing every reason.
#[derive(Clone, PartialEq, Eq)]
pub struct DropCounts([u64; DropReason::COUNT]);

impl DropCounts {
    #[must_use]
    pub const fn new() -> Self {
        Self([0; DropReason::COUNT])
    }

    pub fn add(&mut self, reason: DropReason) {
        self.add_n(reason, 1);
    }

    pub fn add_n(&mut self, reason: DropReason, n: u64) {
        if let Some(count) = self.0.get_mut(reason.index()) {
            *count = count.saturating_add(n);
        }
    }

    #[must_use]
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0.get(reason.index()).copied().unwrap_or(0)
    }

    #[must_use]
    pub fn total(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, &count| u64::saturating_add(sum, count))
    }

    /// The reasons that struck, in the order of [`DropReason::ALL`].
    pub fn iter_nonzero(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL
            .iter()
            .copied()
            .zip(self.0)
            .filter(|&(_, count)| count > 0)
    }

    /// Adds another table to this one.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count = count.saturating_add(more);
        }
    }
}

impl Default for DropCounts {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DropCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.iter_nonzero()
                    .map(|(reason, count)| (reason.label(), count)),
            )
            .finish()
    }
}

/// `reason=count` pairs separated by spaces; empty where nothing was dropped.
impl fmt::Display for DropCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (reason, count) in self.iter_nonzero() {
            write!(f, "{separator}{reason}={count}")?;
            separator = " ";
        }
        Ok(())
    }
}

impl Serialize for DropCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.iter_nonzero().count()))?;
        for (reason, count) in self.iter_nonzero() {
            map.serialize_entry(reason.label(), &count)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for DropCounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(CountsVisitor)
    }
}

struct CountsVisitor;

impl<'de> Visitor<'de> for CountsVisitor {
    type Value = DropCounts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of drop reasons and counts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DropCounts, A::Error> {
        let mut counts = DropCounts::new();
        while let Some(Label(reason)) = map.next_key()? {
            let count: u64 = map.next_value()?;
            let Some(reason) = reason else { continue };
            if counts.get(reason) != 0 {
                return Err(A::Error::custom(format_args!("{reason} appears twice")));
            }
            counts.add_n(reason, count);
        }
        Ok(counts)
    }
}

/// A key of the object, looked up without an allocation.
struct Label(Option<DropReason>);

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LabelVisitor;

        impl Visitor<'_> for LabelVisitor {
            type Value = Label;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a drop reason")
            }

            fn visit_str<E: Error>(self, label: &str) -> Result<Label, E> {
                Ok(Label(DropReason::from_label(label)))
            }
        }

        deserializer.deserialize_str(LabelVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_reason_on_its_own() {
        let mut counts = DropCounts::new();
        for (times, &reason) in DropReason::ALL.iter().enumerate() {
            counts.add_n(reason, times as u64);
        }
        for (times, &reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(counts.get(reason), times as u64, "{reason}");
        }
        assert_eq!(counts.iter_nonzero().count(), DropReason::COUNT - 1);
    }

    #[test]
    fn merging_adds_and_saturates() {
        let mut counts = DropCounts::new();
        counts.add_n(DropReason::Runt, u64::MAX - 1);
        counts.add(DropReason::Alone);
        let mut other = DropCounts::new();
        other.add_n(DropReason::Runt, 5);
        other.add(DropReason::Alone);
        counts.merge(&other);
        assert_eq!(counts.get(DropReason::Runt), u64::MAX);
        assert_eq!(counts.get(DropReason::Alone), 2);
        assert_eq!(counts.total(), u64::MAX);
    }

    #[test]
    fn json_names_reasons_and_leaves_zeros_out() {
        let mut counts = DropCounts::new();
        counts.add_n(DropReason::ArpSpoof, 3);
        let json = serde_json::to_string(&counts).unwrap();
        assert_eq!(json, r#"{"arp_spoof":3}"#);
        assert_eq!(serde_json::from_str::<DropCounts>(&json).unwrap(), counts);
        assert_eq!(counts.to_string(), "arp_spoof=3");
    }

    #[test]
    fn json_skips_reasons_of_a_newer_version_and_refuses_repeats() {
        let newer = r#"{"phase_of_the_moon":7,"runt":1}"#;
        let counts: DropCounts = serde_json::from_str(newer).unwrap();
        assert_eq!(counts.total(), 1);
        for bad in [
            r#"{"runt":1,"runt":1}"#,
            r#"{"runt":-1}"#,
            r#"{"runt":"1"}"#,
            "[]",
        ] {
            assert!(serde_json::from_str::<DropCounts>(bad).is_err(), "{bad}");
        }
    }
}
