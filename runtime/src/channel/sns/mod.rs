//! SNS: topics, and the queues that are subscribed to them.

#[cfg(test)]
mod emulated;
mod filter;
mod foreign;
pub(super) mod inspect;
mod settings;
mod subscription;
mod topic;

pub(super) use filter::filter_policy;
pub(super) use subscription::Subscription;
pub(super) use topic::SnsTopic;
