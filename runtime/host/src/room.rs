//! Waiting for free disk space: a full disk pauses the host but does not end it.

use std::time::Duration;

use reactor_core::clock::Clock;
use reactor_core::store::StoreError;
use reactor_signal::Signals;

/// How often a write is tried on a full disk.
const TRY_EVERY: Duration = Duration::from_millis(250);

/// Repeats a write while the disk is full.
pub(super) async fn until_there_is_room<T, F>(
    signals: &Signals,
    clock: &dyn Clock,
    mut write: impl FnMut() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut stuck = None;
    loop {
        match write().await {
            Err(StoreError::Full) => {
                stuck.get_or_insert_with(|| signals.disk_is_full());
                clock.sleep(TRY_EVERY).await;
            }
            answer => return answer,
        }
    }
}
