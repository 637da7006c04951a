//! Local channels: their log is a part of this host's store, so there is nothing to reach.

use serde_json::json;

use super::kind::Kind;
use crate::config::kind as file;

/// The kind `local`.
pub(super) const KIND: Kind = Kind {
    file: file::Kind { name: "local", keys: &[], required: &[], schema: || json!({}), read: |_, _| None },
    outside: None,
};
