//! Every way in which a frame or datagram can end before its destination.

use serde::{Deserialize, Serialize};

macro_rules! drop_reasons {
    ($( $variant:ident $label:literal $sentence:literal )*) => {
        /// Why something was dropped (invariant I11: nothing is dropped
        /// without one of these being counted).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum DropReason {
            $( #[doc = $sentence] $variant, )*
        }

        impl DropReason {
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];
            /// How many reasons there are.
            pub const COUNT: usize = Self::ALL.len();

            /// Looks a label up.
            #[must_use]
            pub fn from_label(label: &str) -> Option<Self> {
                match label { $( $label => Some(Self::$variant), )* _ => None }
            }

            /// The place of this reason in [`Self::ALL`].
            pub(crate) const fn index(self) -> usize {
                self as usize
            }

            /// The stable name in logs, JSON and metrics.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $( Self::$variant => $label, )* }
            }

            /// What a person reads when looking the reason up.
            #[must_use]
            pub const fn explanation(self) -> &'static str {
                match self { $( Self::$variant => $sentence, )* }
            }
        }
    };
}

drop_reasons! {
    // The overlay: what a datagram must be before its frame is looked at.
    OverlayHeader "overlay_header" "The datagram does not begin with a valid overlay header."
    SourceId "source_id" "The datagram carries a peer id that is not its sender's."
    NotJoined "not_joined" "The datagram came before its sender was admitted to a room."
    SealedInClearRoom "sealed_in_clear_room" "A sealed frame arrived in a room without a key."
    ClearInSealedRoom "clear_in_sealed_room" "A frame in clear arrived in a room with a key, where only sealed ones are taken."
    NoKey "no_key" "The sealed frame's key is over, did not come in time, or is withheld because its sender is unverified."
    SealForged "seal_forged" "The sealed frame is not what its sender sealed: it was altered or forged on its way."
    SealReplayed "seal_replayed" "The sealed frame was here before, or is too old to tell."
    Probe "probe" "A probe was malformed, addressed to nobody, or sent more often than allowed."
    FragmentHeader "fragment_header" "A fragment header is malformed or a fragment has no payload."
    FragmentConflict "fragment_conflict" "Fragments of one frame overlap or disagree, so the frame was discarded."
    FragmentTimeout "fragment_timeout" "Not all fragments of a frame arrived within 500 ms."
    FragmentLimit "fragment_limit" "Too many frames of this sender were waiting for fragments."
    Bundle "bundle" "Frames that travelled in one datagram do not fill it, or are not of one kind."

    // The frame: shape and class.
    Runt "runt" "The frame is shorter than an Ethernet header or than its own headers claim."
    Oversize "oversize" "The frame is longer than a standard LAN carries (1,514 bytes, 1,518 tagged)."
    LinkControl "link_control" "Switch control traffic (spanning tree, LLDP, EAPOL, pause, LACP, CDP) stays on its own LAN."
    VlanTagged "vlan_tagged" "VLAN-tagged frames do not cross unless the host allows that VLAN."
    EtherType "ether_type" "The frame's protocol is not on the room's list of allowed EtherTypes."
    SourceMac "source_mac" "The source MAC address is not the sender's registered one."
    MalformedArp "malformed_arp" "The ARP packet is malformed."
    ArpSpoof "arp_spoof" "The ARP packet claims an address that is not its sender's."
    MalformedIpv4 "malformed_ipv4" "The IPv4 header is malformed or hides the next header in fragments."
    MalformedIpv6 "malformed_ipv6" "The IPv6 header chain is malformed, unknown or split over fragments."
    SourceIp "source_ip" "The source IP address is not the sender's."
    DhcpServer "dhcp_server" "Players may not answer DHCP on the party's LAN."
    DhcpClient "dhcp_client" "A DHCP request does not carry its sender's own hardware address."
    DhcpNotForUs "dhcp_not_for_us" "The DHCP answer is for another machine."
    DhcpUnsafe "dhcp_unsafe" "The DHCP answer offers an address or mask that would disturb the player's own network."
    RouterAdvertisement "router_advertisement" "IPv6 router advertisements do not cross unless the host allows them."
    Redirect "redirect" "ICMP redirects do not cross."
    NeighbourSpoof "neighbour_spoof" "The IPv6 neighbour message claims an address that is not its sender's."
    Dhcpv6 "dhcpv6" "DHCPv6 answers do not cross: they would change the player's name servers."
    MulticastQuerier "multicast_querier" "Players may not act as the LAN's multicast querier."
    RoutingProtocol "routing_protocol" "Players may not speak the protocols by which routers agree (VRRP, HSRP, OSPF, RIP and the like)."
    HostNotAllowed "host_not_allowed" "The host confines players to listed LAN addresses and this is not one."

    // Forwarding.
    NoSuchPeer "no_such_peer" "No member of the room has the destination MAC address."
    NoGateway "no_gateway" "The destination is not a player and no gateway is in the room."
    Alone "alone" "Nobody else is in the room."
    Reflected "reflected" "The frame would have gone back to its sender."
    MemberMacFromLan "member_mac_from_lan" "A frame from the LAN claims a player's MAC address: a loop or a forgery."
    OwnTransmission "own_transmission" "The frame is our own transmission seen again."

    // Limits.
    FloodLimited "flood_limited" "The sender's broadcast and multicast budget is used up."
    UnknownUnicastLimited "unknown_unicast_limited" "The sender's budget for unknown destinations is used up."
    BandwidthLimited "bandwidth_limited" "The sender's bandwidth budget is used up."

    // Queues and the QUIC library.
    QueueFull "queue_full" "The receiver's queue is full, so the largest flow lost a packet."
    QueueDelay "queue_delay" "The packet waited too long for its receiver."
    QuicTooLarge "quic_too_large" "The path's MTU shrank below the datagram while it was queued."
    QuicLost "quic_lost" "The QUIC library discarded a datagram before sending it."
    QuicReceiveOverflow "quic_receive_overflow" "Datagrams arrived faster than they were read."
    Disconnected "disconnected" "The connection ended while the packet was waiting."

    // The edges.
    NotReady "not_ready" "The tunnel was not up."
    TapWrite "tap_write" "The TAP adapter refused the frame."
    LanOverflow "lan_overflow" "Frames arrived from the LAN faster than the gateway read them."
    LanWrite "lan_write" "The network interface refused the frame."
    UnknownOffload "unknown_offload" "The kernel handed over a kind of superframe that this version cannot split."
}

impl std::fmt::Display for DropReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

impl DropReason {
    /// True where the datagram itself was malformed, so that it counts
    /// towards its sender's disconnection. Policy drops never do.
    #[must_use]
    pub const fn is_malformed_datagram(self) -> bool {
        matches!(
            self,
            Self::OverlayHeader | Self::SourceId | Self::FragmentHeader | Self::Bundle | Self::Runt
        )
    }
}
