//! Deliveries whose reactor is no longer configured.

use reactor_config::model::Config;
use reactor_core::store::{StoreClient, StoreError};

/// Reports deliveries that will not run because their reactor is no longer in the configuration.
pub(super) fn say_orphans(config: &Config, store: &dyn StoreClient) -> Result<(), StoreError> {
    for reactor in store.stats()?.reactors {
        if reactor.active > 0 && !config.reactors.contains_key(&reactor.name) {
            let (name, active) = (&reactor.name, reactor.active);
            tracing::warn!(
                "reactor `{name}` is not in the configuration; its {active} unfinished deliveries are kept until it is added again"
            );
        }
    }
    Ok(())
}
