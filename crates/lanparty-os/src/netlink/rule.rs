//! Policy routing rules.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{RuleAction as WireAction, RuleAttribute, RuleMessage};
use serde::{Deserialize, Serialize};

use super::address::family;
use super::{Family, Netlink, NetlinkError, Prefix};

/// A policy routing rule; also what undoing it needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub family: Family,
    /// The lower, the earlier it is looked at.
    pub priority: u32,
    pub mark: Option<u32>,
    pub mask: Option<u32>,
    pub from: Option<Prefix>,
    pub to: Option<Prefix>,
    pub incoming_interface: Option<String>,
    pub outgoing_interface: Option<String>,
    /// Ignore routes of the table whose prefix is not longer than this.
    pub suppress_prefix_length: Option<u32>,
    pub action: RuleAction,
    /// Who set it; ours are [`super::ROUTE_PROTOCOL`].
    pub protocol: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    Table(u32),
    Blackhole,
    Unreachable,
    Prohibit,
    Other(u8),
}

impl Rule {
    /// A rule of ours that sends packets to a table; narrow it with the fields.
    #[must_use]
    pub fn to_table(family: Family, priority: u32, table: u32) -> Self {
        Self {
            family,
            priority,
            mark: None,
            mask: None,
            from: None,
            to: None,
            incoming_interface: None,
            outgoing_interface: None,
            suppress_prefix_length: None,
            action: RuleAction::Table(table),
            protocol: super::ROUTE_PROTOCOL,
        }
    }
}

impl Netlink {
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn rules(&mut self, of: Family) -> Result<Vec<Rule>, NetlinkError> {
        let mut message = RuleMessage::default();
        message.header.family = family(of);
        let answers = self
            .socket
            .dump("list the rules", &RouteNetlinkMessage::GetRule(message))?;
        Ok(answers
            .into_iter()
            .filter_map(|message| parse(of, message))
            .collect())
    }

    /// # Errors
    /// When the kernel refuses; see [`NetlinkError::already_exists`].
    pub fn add_rule(&mut self, rule: &Rule) -> Result<(), NetlinkError> {
        self.socket.change(
            "add the rule",
            RouteNetlinkMessage::NewRule(message(rule)),
            NLM_F_CREATE | NLM_F_EXCL,
        )
    }

    /// # Errors
    /// When the kernel refuses; see [`NetlinkError::is_missing`].
    pub fn delete_rule(&mut self, rule: &Rule) -> Result<(), NetlinkError> {
        self.socket.change(
            "remove the rule",
            RouteNetlinkMessage::DelRule(message(rule)),
            0,
        )
    }
}

fn message(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    let header = &mut message.header;
    header.family = family(rule.family);
    header.src_len = rule.from.map_or(0, |prefix| prefix.length);
    header.dst_len = rule.to.map_or(0, |prefix| prefix.length);
    header.action = match rule.action {
        RuleAction::Table(_) => WireAction::ToTable,
        RuleAction::Blackhole => WireAction::Blackhole,
        RuleAction::Unreachable => WireAction::Unreachable,
        RuleAction::Prohibit => WireAction::Prohibit,
        RuleAction::Other(number) => WireAction::from(number),
    };
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Priority(rule.priority));
    attributes.push(RuleAttribute::Protocol(RouteProtocol::from(rule.protocol)));
    attributes.extend(rule.mark.map(RuleAttribute::FwMark));
    attributes.extend(rule.mask.map(RuleAttribute::FwMask));
    attributes.extend(
        rule.from
            .map(|prefix| RuleAttribute::Source(prefix.network().address)),
    );
    attributes.extend(
        rule.to
            .map(|prefix| RuleAttribute::Destination(prefix.network().address)),
    );
    attributes.extend(rule.incoming_interface.clone().map(RuleAttribute::Iifname));
    attributes.extend(rule.outgoing_interface.clone().map(RuleAttribute::Oifname));
    attributes.extend(
        rule.suppress_prefix_length
            .map(RuleAttribute::SuppressPrefixLen),
    );
    if let RuleAction::Table(table) = rule.action {
        attributes.push(RuleAttribute::Table(table));
    }
    message
}

fn parse(of: Family, message: RouteNetlinkMessage) -> Option<Rule> {
    let RouteNetlinkMessage::NewRule(message) = message else {
        return None;
    };
    let header = message.header;
    if header.family != family(of) {
        return None;
    }
    let mut rule = Rule::to_table(of, 0, header.table.into());
    rule.protocol = 0;
    for attribute in message.attributes {
        if let RuleAttribute::Priority(priority) = attribute {
            rule.priority = priority;
        } else if let RuleAttribute::Protocol(protocol) = attribute {
            rule.protocol = protocol.into();
        } else if let RuleAttribute::FwMark(mark) = attribute {
            rule.mark = Some(mark);
        } else if let RuleAttribute::FwMask(mask) = attribute {
            rule.mask = Some(mask);
        } else if let RuleAttribute::Source(address) = attribute {
            rule.from = Some(Prefix {
                address,
                length: header.src_len,
            });
        } else if let RuleAttribute::Destination(address) = attribute {
            rule.to = Some(Prefix {
                address,
                length: header.dst_len,
            });
        } else if let RuleAttribute::Iifname(name) = attribute {
            rule.incoming_interface = Some(name);
        } else if let RuleAttribute::Oifname(name) = attribute {
            rule.outgoing_interface = Some(name);
        } else if let RuleAttribute::SuppressPrefixLen(length) = attribute {
            // The kernel says "none" as -1.
            rule.suppress_prefix_length = Some(length).filter(|length| *length != u32::MAX);
        } else if let RuleAttribute::Table(table) = attribute {
            rule.action = RuleAction::Table(table);
        }
    }
    if header.action != WireAction::ToTable {
        rule.action = [
            (WireAction::Blackhole, RuleAction::Blackhole),
            (WireAction::Unreachable, RuleAction::Unreachable),
            (WireAction::Prohibit, RuleAction::Prohibit),
        ]
        .into_iter()
        .find(|(wire, _)| *wire == header.action)
        .map_or(RuleAction::Other(header.action.into()), |(_, action)| {
            action
        });
    }
    Some(rule)
}
