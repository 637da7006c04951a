//! stub
#![allow(missing_docs)]
use crate::config::model::ChannelConfig;
use crate::event::*;
use bytes::Bytes;
pub struct Settings;
impl Settings {
    pub fn of(_: &ChannelConfig) -> Self {
        Self
    }
}
pub struct Decoded {
    pub event: Event,
    pub identity: Identity,
}
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct DecodeError {
    pub code: &'static str,
    pub text: String,
}
impl DecodeError {
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}
pub fn decode(_m: &Message, _s: &Settings) -> Result<Vec<Decoded>, DecodeError> {
    Ok(vec![])
}
pub fn encode_native(_e: &Event) -> Bytes {
    Bytes::new()
}
