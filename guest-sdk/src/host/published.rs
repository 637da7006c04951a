//! An event on its way to the host.

/// The event as passed to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) event_type: String,
    pub(crate) version: u32,
    pub(crate) subject: Option<String>,
    pub(crate) partition_key: Option<String>,
    pub(crate) content_type: String,
    pub(crate) data: Vec<u8>,
}
