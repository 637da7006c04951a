//! stub
#![allow(missing_docs)]
use crate::config::model::ReactorConfig;
use crate::event::*;
pub struct Routes;
pub struct Match {
    pub reactor: ReactorId,
    pub lane: Option<LaneKey>,
    pub key: Option<Identity>,
}
impl Routes {
    pub fn compile(_: &[(ReactorId, &ReactorConfig)]) -> Self {
        Self
    }
    pub fn matching(&self, _e: &Event, _out: &mut Vec<Match>) {}
}
