//! Queues and topics on LocalStack, for tests to set up and to inspect beside the program.
//!
//! All functions block, and panic with what went wrong. Names are unique, so that tests can run side by side.

mod message;
mod queue;
mod topic;

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::IntoFuture;
use std::hash::Hash;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};

pub use message::{Depth, Outgoing, Received};
pub use queue::Queue;
pub use topic::{Subscription, Topic};

/// The variable with LocalStack's address.
const PLACE: &str = "REACTOR_TEST_LOCALSTACK";
const REGION: &str = "us-east-1";
/// LocalStack accepts any key, and uses the account 000000000000.
const KEY: &str = "test";
/// An address where no server listens.
const NOWHERE: &str = "http://127.0.0.1:9";
/// Maximum number of messages in one call.
const BATCH: usize = 10;

/// Points a command to the emulator, or else to no server: a test never reaches an account of its user's.
pub(crate) fn lead_to_emulator(command: &mut Command) {
    let foreign = |name: &str| name.starts_with("AWS_") && name != "AWS_CA_BUNDLE";
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(foreign) {
            command.env_remove(name);
        }
    }
    let place = std::env::var(PLACE).unwrap_or_else(|_| NOWHERE.into());
    command.env("AWS_ENDPOINT_URL", place).env("AWS_REGION", REGION);
    command.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", KEY).env("AWS_EC2_METADATA_DISABLED", "true");
    // The user's own settings could name other endpoints; a proxy could not reach this machine's loopback address.
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command.env("NO_PROXY", "127.0.0.1,localhost").env("no_proxy", "127.0.0.1,localhost");
}

/// The running LocalStack.
#[derive(Debug)]
pub struct LocalStack {
    url: String,
    threads: tokio::runtime::Runtime,
    sqs: aws_sdk_sqs::Client,
    sns: aws_sdk_sns::Client,
}

impl LocalStack {
    /// The instance that `cargo xtask test` has started; panics if there is none.
    pub fn get() -> &'static Self {
        static ONE: OnceLock<LocalStack> = OnceLock::new();
        ONE.get_or_init(|| match std::env::var(PLACE) {
            Ok(url) => Self::at(url),
            Err(_) => {
                panic!("this test needs LocalStack: run `cargo xtask test`, which starts it, with the test's name")
            }
        })
    }

    fn at(url: String) -> Self {
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        let threads = threads.worker_threads(1).thread_name("localstack").enable_all().build().expect("a thread");
        let credentials = || Credentials::new(KEY, KEY, None, None, "tests");
        let sqs = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(credentials())
            .endpoint_url(&url);
        let sns = aws_sdk_sns::Config::builder()
            .behavior_version(aws_sdk_sns::config::BehaviorVersion::latest())
            .region(aws_sdk_sns::config::Region::new(REGION))
            .credentials_provider(credentials())
            .endpoint_url(&url);
        let sqs = aws_sdk_sqs::Client::from_conf(sqs.build());
        let sns = aws_sdk_sns::Client::from_conf(sns.build());
        Self { url, threads, sqs, sns }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A unique name that begins with `what`; also for queues and topics that the program creates.
    pub fn name(what: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Several test programs run on one LocalStack, one after the other.
        format!("{what}-{}-{:x}-{count}", std::process::id(), now.as_millis())
    }

    /// Creates a standard queue.
    pub fn queue(&'static self, what: &str) -> Queue {
        self.queue_with(what, &[])
    }

    /// Creates a FIFO queue, without content-based deduplication.
    pub fn fifo_queue(&'static self, what: &str) -> Queue {
        self.queue_with(what, &[("FifoQueue", "true")])
    }

    /// Creates a queue with these attributes, such as `VisibilityTimeout`.
    pub fn queue_with(&'static self, what: &str, attributes: &[(&str, &str)]) -> Queue {
        let fifo = attributes.contains(&("FifoQueue", "true"));
        let name = Self::name(what) + if fifo { ".fifo" } else { "" };
        let create = self.sqs.create_queue().queue_name(&name).set_attributes(Some(owned(attributes)));
        let made = self.wait("create a queue", create.send());
        Queue { stack: self, url: made.queue_url.expect("its URL"), name }
    }

    /// A queue created elsewhere; `None` if it does not exist.
    pub fn find_queue(&'static self, name: &str) -> Option<Queue> {
        let found = self.threads.block_on(self.sqs.get_queue_url().queue_name(name).send());
        let found = found.map_err(aws_sdk_sqs::error::SdkError::into_service_error);
        match found {
            Ok(found) => Some(Queue { stack: self, url: found.queue_url.expect("its URL"), name: name.into() }),
            Err(error) if error.is_queue_does_not_exist() => None,
            Err(error) => panic!("cannot find the queue {name}: {error:?}"),
        }
    }

    /// Creates a standard topic.
    pub fn topic(&'static self, what: &str) -> Topic {
        self.topic_with(what, &[])
    }

    /// Creates a FIFO topic, without content-based deduplication.
    pub fn fifo_topic(&'static self, what: &str) -> Topic {
        self.topic_with(what, &[("FifoTopic", "true")])
    }

    /// Creates a topic with these attributes.
    pub fn topic_with(&'static self, what: &str, attributes: &[(&str, &str)]) -> Topic {
        let fifo = attributes.contains(&("FifoTopic", "true"));
        let name = Self::name(what) + if fifo { ".fifo" } else { "" };
        let create = self.sns.create_topic().name(&name).set_attributes(Some(owned(attributes)));
        Topic { stack: self, arn: self.wait("create a topic", create.send()).topic_arn.expect("its ARN"), name }
    }

    /// A topic created elsewhere; `None` if it does not exist.
    pub fn find_topic(&'static self, name: &str) -> Option<Topic> {
        let arn = format!("arn:aws:sns:{REGION}:000000000000:{name}");
        let found = self.threads.block_on(self.sns.get_topic_attributes().topic_arn(&arn).send());
        match found.map_err(aws_sdk_sns::error::SdkError::into_service_error) {
            Ok(_) => Some(Topic { stack: self, arn, name: name.into() }),
            Err(error) if error.is_not_found_exception() => None,
            Err(error) => panic!("cannot find the topic {name}: {error:?}"),
        }
    }

    #[track_caller]
    fn wait<T, E: Debug>(&self, what: &str, call: impl IntoFuture<Output = Result<T, E>>) -> T {
        self.threads.block_on(call.into_future()).unwrap_or_else(|error| panic!("cannot {what}: {error:#?}"))
    }
}

fn owned<K: Eq + Hash + for<'a> From<&'a str>>(pairs: &[(&str, &str)]) -> HashMap<K, String> {
    pairs.iter().map(|(name, value)| (K::from(name), (*value).to_owned())).collect()
}
