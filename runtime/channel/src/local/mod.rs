//! Local channels: their log is part of this host's store, so there is nothing to connect to.

use serde_json::json;

use reactor_config::kind as file;

use super::kind::Kind;

/// The kind `local`.
pub const KIND: Kind = Kind {
    file: file::Kind { name: "local", keys: &[], required: &[], schema: || json!({}), read: |_, _| None },
    outside: None,
};
