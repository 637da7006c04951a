//! How far a host is in its life: it runs, or drains, and then stops or makes room for the next one.

use reactor_core::clock::Moment;

use super::deployment::{Deployment, End};

/// See the module.
pub(crate) struct Life {
    /// It is to end as soon as there is nothing left to do.
    pub(crate) until_idle: bool,
    phase: Phase,
}

enum Phase {
    Running,
    Draining { until: Moment, then: Then },
}

/// What comes after a drain.
enum Then {
    Stop,
    /// A host with other connections, in the same process.
    Restart(Box<Deployment>),
}

impl Life {
    /// Of a host that runs.
    pub(crate) fn new(until_idle: bool) -> Self {
        Self { until_idle, phase: Phase::Running }
    }

    /// When the drain time is over, if it drains.
    pub(crate) fn drains_until(&self) -> Option<Moment> {
        if let Phase::Draining { until, .. } = self.phase { Some(until) } else { None }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.drains_until().is_some()
    }

    /// Whether it ends for good.
    pub(crate) fn is_stopping(&self) -> bool {
        matches!(self.phase, Phase::Draining { then: Then::Stop, .. })
    }

    /// Whether another host follows.
    pub(crate) fn is_followed(&self) -> bool {
        matches!(self.phase, Phase::Draining { then: Then::Restart(_), .. })
    }

    /// It is to stop, even if another host was to follow; a drain that has begun ends when it was to end.
    pub(crate) fn stop(&mut self, until: Moment) {
        self.phase = Phase::Draining { until: self.drains_until().unwrap_or(until), then: Then::Stop };
    }

    /// It is to be followed by a host with this deployment, in place of one that was to follow; unless it is to stop.
    pub(crate) fn make_room_for(&mut self, deployment: Box<Deployment>, until: Moment) {
        if !self.is_stopping() {
            let until = self.drains_until().unwrap_or(until);
            self.phase = Phase::Draining { until, then: Then::Restart(deployment) };
        }
    }

    /// Why it has ended.
    pub(crate) fn end(self) -> End {
        match self.phase {
            Phase::Draining { then: Then::Restart(deployment), .. } => End::Restart(deployment),
            Phase::Running | Phase::Draining { then: Then::Stop, .. } => End::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn deployment(text: &str) -> Box<Deployment> {
        let loaded = reactor_config::parse(
            text,
            Path::new("/srv/reactors.toml"),
            &|_| None,
            reactor_channel_aws::testing::KINDS,
        );
        let config = Arc::new(loaded.unwrap_or_else(|problems| panic!("{}", problems.render(false))).config);
        Box::new(Deployment { config, guests: BTreeMap::new(), remotes: BTreeMap::new() })
    }

    #[tokio::test]
    async fn the_last_deployment_follows_and_a_stop_comes_before_all() {
        let (now, later) = (Moment::default(), Moment::default() + Duration::from_secs(9));
        let (first, second) = (deployment(""), deployment("[runtime]\nhop-limit = 7\n"));
        let mut life = Life::new(false);
        assert!(!life.is_draining() && !life.is_followed() && !life.is_stopping());
        life.make_room_for(first, now);
        life.make_room_for(second, later);
        assert_eq!(life.drains_until(), Some(now), "the second does not make the first drain longer");
        assert!(life.is_followed() && !life.is_stopping());
        let mut other = Life::new(true);
        other.stop(now);
        other.make_room_for(deployment(""), later);
        assert!(other.is_stopping() && !other.is_followed());
        assert!(matches!(other.end(), End::Stop));
        let End::Restart(deployment) = life.end() else { panic!("another was to follow") };
        assert_eq!(deployment.config.runtime.hop_limit, 7);
    }

    #[tokio::test]
    async fn a_stop_while_another_was_to_follow_is_a_stop() {
        let mut life = Life::new(false);
        life.make_room_for(deployment(""), Moment::default());
        life.stop(Moment::default());
        assert!(life.is_stopping());
        assert!(matches!(life.end(), End::Stop));
    }
}
