//! Housekeeping of the model store.

use reactor_core::event::Origin;
use reactor_core::store::{Place, Upkeep};

use super::inner::Inner;

impl Inner {
    pub(super) fn expire(&mut self, upkeep: &Upkeep) {
        self.host = self.host.max(upkeep.now);
        self.ledger.retain(|_, (since, ..)| upkeep.now.since(*since) < upkeep.ledger_window);
        let windows = upkeep.retention.iter().map(|(_, retention)| *retention).chain([upkeep.ledger_window]);
        let kept = windows.max().unwrap_or_default();
        self.dropped.retain(|_, dropped| upkeep.now.since(dropped.at) <= kept);
        self.expire_past(upkeep, kept);
        let gone = self.select(usize::MAX, |d| d.place == Place::Away && upkeep.now.since(d.since) > upkeep.away);
        for delivery in gone {
            self.deliveries.remove(&delivery.id);
            self.counts(delivery.reactor).delivered -= 1;
        }
        for (channel, retention) in &upkeep.retention {
            let origins: Vec<Origin> = self.deliveries.values().map(|row| row.stored.origin).collect();
            let needed = origins.iter().filter(|o| o.channel == *channel).map(|o| o.offset).min();
            if let Ok(log) = self.log(*channel) {
                let floor = needed.map_or(log.cursor, |offset| offset.min(log.cursor));
                log.records.retain(|offset, (host, _)| *offset >= floor || upkeep.now.since(*host) <= *retention);
            }
        }
    }
}
