//! Duplicate detection in `publish`: looks up the first events of its input among the newest deliveries.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use reactor_config::model::ChannelConfig;
use reactor_core::event::{Identity, ReactorId};
use reactor_core::store::StoreClient;
use reactor_host::decode::Decoded;
use reactor_host::intake::reading::Reading;

use super::exit::Exit;
use super::project::Project;

/// Events of one input that are looked up.
const EVENTS: usize = 1_000;
/// Deliveries that are searched for them.
const DELIVERIES: usize = 10_000;

/// Finds events that reactors were given before.
pub(super) struct Again {
    store: Arc<dyn StoreClient>,
    names: BTreeMap<ReactorId, String>,
    windows: BTreeMap<ReactorId, Duration>,
    left: usize,
    seen: HashSet<(ReactorId, Identity)>,
    asked: Vec<(Option<u64>, ReactorId, Identity)>,
    /// Duplicates within the input itself.
    found: Vec<(Option<u64>, ReactorId)>,
}

impl Again {
    /// Also returns how to read the channel, which [`Again::note`] needs.
    pub(super) fn new(
        project: &Project,
        store: &Arc<dyn StoreClient>,
        channel: &ChannelConfig,
    ) -> Result<(Self, Reading), Exit> {
        let names = project.numbered(&**store)?;
        let reactors: Vec<_> =
            names.iter().filter_map(|(id, name)| Some((*id, project.config.reactors.get(name)?))).collect();
        let reading = Reading::new(&project.config, channel, &reactors);
        let windows = reactors.iter().map(|(id, reactor)| (*id, reactor.dedup.window)).collect();
        let (seen, asked, found) = (HashSet::new(), Vec::new(), Vec::new());
        let store = Arc::clone(store);
        Ok((Self { store, names, windows, left: EVENTS, seen, asked, found }, reading))
    }

    /// Notes the events of a line; `message` is the id of the line's message.
    pub(super) fn note(&mut self, line: Option<u64>, message: Option<&str>, events: &[Decoded], reading: &Reading) {
        let mut matches = Vec::new();
        for decoded in events.iter().take(self.left) {
            self.left -= 1;
            reading.matching(&decoded.event, &mut matches);
            for found in matches.drain(..) {
                let key = found.key(decoded.identity, message, decoded.part);
                if self.seen.insert((found.reactor, key)) {
                    self.asked.push((line, found.reactor, key));
                } else {
                    self.found.push((line, found.reactor));
                }
            }
        }
    }

    /// Which of the lines noted since the last call contain a known event, and for which reactors.
    pub(super) fn look(&mut self) -> Result<BTreeMap<Option<u64>, BTreeSet<String>>, Exit> {
        let asked = std::mem::take(&mut self.asked);
        let mut found = std::mem::take(&mut self.found);
        if !asked.is_empty() {
            let keys: Vec<_> = asked.iter().map(|(_, reactor, key)| (*reactor, *key)).collect();
            let (known, now) = (self.store.known(&keys, DELIVERIES)?, self.store.host_time()?);
            for ((line, reactor, _), since) in asked.into_iter().zip(known) {
                let window = self.windows.get(&reactor).copied().unwrap_or_default();
                if since.is_some_and(|since| now.since(since) < window) {
                    found.push((line, reactor));
                }
            }
        }
        let mut lines: BTreeMap<Option<u64>, BTreeSet<String>> = BTreeMap::new();
        for (line, reactor) in found {
            lines.entry(line).or_default().insert(self.names.get(&reactor).cloned().unwrap_or_default());
        }
        Ok(lines)
    }
}
