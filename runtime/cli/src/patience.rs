//! Waits for a running host to carry out requests.

use std::time::{Duration, Instant};

use reactor_core::store::StoreClient;

use super::exit::Exit;

/// How long a command waits for a running host to carry out its requests.
const PATIENCE: Duration = Duration::from_secs(5);

/// Waits until the running host has carried out all requests. False if it has not within a few seconds.
pub(super) fn wait_for_host(store: &dyn StoreClient) -> Result<bool, Exit> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if store.requests(0)?.is_empty() {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(false)
}
