//! The flags that every player's program has.

use std::path::PathBuf;

use clap::Args;
use lanparty_member_cli::MemberArgs;

#[derive(Clone, Debug, Args)]
pub struct PlayerArgs {
    #[command(flatten)]
    pub member: MemberArgs,
    /// The adapter's MAC address instead of the one made at the first start.
    #[arg(long, value_name = "MAC", env = "LANPARTY_VIRTUAL_MAC")]
    pub virtual_mac: Option<String>,
    /// Use this address instead of asking the party's DHCP server.
    #[arg(long, value_name = "ADDRESS/LENGTH", env = "LANPARTY_IP")]
    pub ip: Option<String>,
    /// The file with this player's secret and MAC address.
    #[arg(long, value_name = "FILE", env = "LANPARTY_IDENTITY")]
    pub identity: Option<PathBuf>,
    /// Print a JSON snapshot every second instead of sentences.
    #[arg(long)]
    pub status_json: bool,
    /// Where programs can ask for a JSON snapshot; in the state directory
    /// unless given.
    #[arg(long, value_name = "PATH", env = "LANPARTY_STATUS_SOCKET")]
    pub status_socket: Option<PathBuf>,
    #[command(flatten)]
    pub state: StateArgs,
}

#[derive(Clone, Debug, Default, Args)]
pub struct StateArgs {
    /// Where identity, journal and status socket are kept.
    #[arg(long, value_name = "DIR", env = "LANPARTY_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}
