//! The AWS SDK's clients, set up once, and the interpretation of its errors.

pub(crate) mod arn;
pub(crate) mod batch;
pub(crate) mod inspect;
pub(crate) mod keys;
pub(crate) mod message;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::Region;
use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use reactor_channel::kind::Connections;
use reactor_config::Written;
use reactor_core::channel::{ChannelError, Trouble};

/// Time limit of one try of a call, in addition to the wait of a receive call.
const ATTEMPT: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(4);
/// The longest wait that SQS allows for a receive call.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// The region if an endpoint is set and no region: an emulator accepts any, but a request must name one.
const ANY_REGION: &str = "us-east-1";

/// The clients. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Aws {
    pub(crate) sqs: aws_sdk_sqs::Client,
    /// For receive calls, which wait and which the caller retries.
    pub(crate) receiving: aws_sdk_sqs::Client,
    pub(crate) sns: aws_sdk_sns::Client,
}

impl Aws {
    /// The clients that all channels share.
    pub(crate) async fn of(with: &Connections) -> Self {
        with.get(Box::pin(Self::connect())).await
    }

    /// Sets up the clients from the SDK's usual chain of environment, profiles, and container and instance roles. Makes
    /// no request yet: anything missing shows at the first call.
    pub async fn connect() -> Self {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build();
        let mut config = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts).load().await;
        let endpoints = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_SNS"];
        let has_endpoint = config.endpoint_url().is_some() || endpoints.iter().any(|name| std::env::var(name).is_ok());
        if config.region().is_none() && has_endpoint {
            config = config.into_builder().region(Region::from_static(ANY_REGION)).build();
        }
        let patient =
            TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(LONGEST_WAIT + ATTEMPT).build();
        let receiving = aws_sdk_sqs::config::Builder::from(&config)
            .timeout_config(patient)
            .retry_config(RetryConfig::disabled())
            .build();
        Self {
            sqs: aws_sdk_sqs::Client::new(&config),
            receiving: aws_sdk_sqs::Client::from_conf(receiving),
            sns: aws_sdk_sns::Client::new(&config),
        }
    }
}

/// What is tried, and on what. AWS repeats names in its answers, so they are quoted only through this type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tried<'t> {
    pub(crate) doing: &'t str,
    /// `queue` or `topic`.
    pub(crate) kind: &'static str,
    pub(crate) name: &'t Written,
}

impl fmt::Display for Tried<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { doing, kind, name } = self;
        write!(f, "{doing} {kind} `{name}`")
    }
}

/// Interprets an error of the SDK.
pub(crate) fn explain<E>(what: &Tried<'_>, error: &SdkError<E, HttpResponse>) -> ChannelError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    match error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or_default();
            let message = service.err().message().unwrap_or_default();
            let error = refused(what, code, message, status, false);
            // An invalid parameter of the whole call is not the fault of a message.
            let is_parameter = code.contains("InvalidParameter") && error.trouble == Trouble::Refused;
            if is_parameter { ChannelError { trouble: Trouble::Misconfigured, ..error } } else { error }
        }
        _ => unanswered(what, &DisplayErrorContext(error).to_string()),
    }
}

/// Interprets the answer for one entry of a batch.
pub(crate) fn explain_entry(what: &Tried<'_>, code: &str, message: Option<&str>, sender_fault: bool) -> ChannelError {
    refused(what, code, message.unwrap_or_default(), if sender_fault { 400 } else { 500 }, sender_fault)
}

/// The error for an entry that the answer does not mention.
pub(crate) fn silence(what: &Tried<'_>) -> ChannelError {
    ChannelError { trouble: Trouble::Unreachable, detail: format!("{what}: the answer does not mention this message") }
}

fn refused(what: &Tried<'_>, code: &str, message: &str, status: u16, sender_fault: bool) -> ChannelError {
    let trouble = trouble_of(code, message, status, sender_fault);
    let code = if code.is_empty() { format!("HTTP status {status}") } else { code.to_owned() };
    let dash = if message.is_empty() { "" } else { ": " };
    let help = match trouble {
        Trouble::Denied => "; check the credentials and the IAM policy",
        Trouble::Missing => "; create it, or set `create = true`",
        _ => "",
    };
    ChannelError {
        trouble,
        detail: format!("{what}: {code}{dash}{}{help}", what.name.hide(message.trim_end_matches('.'))),
    }
}

fn unanswered(what: &Tried<'_>, text: &str) -> ChannelError {
    let lower = text.to_ascii_lowercase();
    // The SDK has no types for these errors and wraps them like a broken connection.
    let (trouble, help) = if lower.contains("missing region") || lower.contains("region must be set") {
        (Trouble::Misconfigured, "; set AWS_REGION, or a region in the profile")
    } else if lower.contains("credentials") {
        (Trouble::Denied, "; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the host a role")
    } else {
        (Trouble::Unreachable, "")
    };
    // The first words say what happened; the rest is internal to the SDK, and nothing about credentials is repeated.
    let short = match trouble {
        Trouble::Denied => "no usable credentials",
        _ => text.split(" (").next().unwrap_or(text).trim(),
    };
    let short = what.name.hide(short);
    ChannelError { trouble, detail: format!("{what}: {short}{help}") }
}

fn trouble_of(code: &str, message: &str, status: u16, sender_fault: bool) -> Trouble {
    let code = code.rsplit(['.', '#']).next().unwrap_or(code);
    let code = code.strip_suffix("Exception").unwrap_or(code);
    let about_receipt = || {
        let message = message.to_ascii_lowercase();
        message.contains("receipt handle")
            || message.contains("total visibilitytimeout")
            || message.contains("not available for visibility timeout change")
    };
    match code {
        "RequestThrottled"
        | "OverLimit"
        | "Throttled"
        | "KmsThrottled"
        | "TooManyRequests"
        | "SlowDown"
        | "RequestLimitExceeded" => Trouble::Throttled,
        _ if code.starts_with("Throttling") => Trouble::Throttled,
        "AuthorizationError"
        | "InvalidClientTokenId"
        | "UnrecognizedClient"
        | "SignatureDoesNotMatch"
        | "InvalidSignature"
        | "IncompleteSignature"
        | "InvalidSecurity"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "MissingAuthenticationToken"
        | "NotAuthorized"
        | "OptInRequired"
        | "RequestExpired"
        | "KmsAccessDenied" => Trouble::Denied,
        _ if code.starts_with("AccessDenied") || code.starts_with("ExpiredToken") => Trouble::Denied,
        "QueueDoesNotExist" | "NonExistentQueue" | "QueueDeletedRecently" | "NotFound" => Trouble::Missing,
        "ReceiptHandleIsInvalid" | "MessageNotInflight" => Trouble::StaleReceipt,
        "InvalidParameterValue" | "InvalidParameter" if about_receipt() => Trouble::StaleReceipt,
        "InvalidMessageContents"
        | "InvalidParameterValue"
        | "InvalidParameter"
        | "InvalidAttributeValue"
        | "BatchRequestTooLong"
        | "MessageTooLong"
        | "MissingParameter"
        | "UnsupportedOperation" => Trouble::Refused,
        _ if sender_fault => Trouble::Refused,
        _ if status == 429 => Trouble::Throttled,
        _ if matches!(status, 401 | 403) => Trouble::Denied,
        _ => Trouble::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_what_they_mean_however_they_are_spelled() {
        for (code, message, status, expected) in [
            ("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.", 400, Trouble::Missing),
            ("com.amazonaws.sqs#QueueDoesNotExist", "", 400, Trouble::Missing),
            ("NotFoundException", "Topic does not exist", 404, Trouble::Missing),
            ("ThrottlingException", "Rate exceeded", 400, Trouble::Throttled),
            ("RequestThrottled", "", 400, Trouble::Throttled),
            ("AccessDeniedException", "", 400, Trouble::Denied),
            ("ExpiredTokenException", "", 403, Trouble::Denied),
            ("InvalidClientTokenId", "", 403, Trouble::Denied),
            ("ReceiptHandleIsInvalid", "", 400, Trouble::StaleReceipt),
            (
                "InvalidParameterValue",
                "Value x is invalid. Reason: The receipt handle has expired.",
                400,
                Trouble::StaleReceipt,
            ),
            (
                "InvalidParameterValue",
                "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
                400,
                Trouble::StaleReceipt,
            ),
            ("InvalidParameterValue", "One or more parameters are invalid", 400, Trouble::Refused),
            ("InvalidMessageContents", "", 400, Trouble::Refused),
            ("InternalError", "", 500, Trouble::Unreachable),
            ("", "", 503, Trouble::Unreachable),
            ("", "", 403, Trouble::Denied),
            ("SomethingNew", "", 400, Trouble::Unreachable),
        ] {
            assert_eq!(trouble_of(code, message, status, false), expected, "{code} {message}");
        }
        assert_eq!(trouble_of("SomethingNew", "", 400, true), Trouble::Refused);
        assert_eq!(trouble_of("AccessDenied", "", 400, true), Trouble::Denied);
    }

    #[test]
    fn what_is_missing_is_named() {
        let name = Written::from("in");
        let unanswered =
            |text: &str| super::unanswered(&Tried { doing: "receiving from", kind: "queue", name: &name }, text);
        let region = unanswered("dispatch failure: other: Invalid Configuration: Missing Region (Dispatch..");
        assert!(region.trouble == Trouble::Misconfigured && region.detail.contains("AWS_REGION"), "{region}");
        let none = unanswered("dispatch failure: no credentials in the property bag (x)");
        assert!(none.trouble == Trouble::Denied && none.detail.contains("AWS_PROFILE"), "{none}");
        let process = unanswered("dispatch failure: other: loading credentials: process said: CANARY");
        assert!(!process.detail.contains("CANARY"), "{process}");
        assert_eq!(unanswered("dispatch failure: io error").trouble, Trouble::Unreachable);
    }
}
