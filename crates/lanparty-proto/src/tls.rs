//! What the protocol says to TLS.

/// The protocol and its major version, as ALPN token (RFC 7301).
pub const ALPN: &[u8] = b"lanparty/1";
/// Label of the exporter (RFC 5705 section 4) whose 32 bytes, with an empty
/// context, an admission proof signs.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-lanparty-1";
