//! Errors as SQS reports them: a shape in the body, and the older code of the query protocol in a header, which the SDK
//! prefers if it is present.

use std::borrow::Cow;

/// An error of a call, or of an entry of a batch.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// `__type` in the body without its namespace, which the SDK cuts off; empty for a response that is not JSON.
    pub(super) shape: &'static str,
    /// The older code; empty if there is none.
    pub(super) code: &'static str,
    pub(super) message: Cow<'static, str>,
}

const fn refusal(status: u16, shape: &'static str, code: &'static str, message: &'static str) -> Refusal {
    Refusal { status, shape, code, message: Cow::Borrowed(message) }
}

/// The errors with fixed content.
#[rustfmt::skip]
impl Refusal {
    pub(super) const THROTTLED: Self =
        refusal(400, "RequestThrottled", "RequestThrottled", "Request is throttled.");
    pub(super) const THROTTLING_EXCEPTION: Self =
        refusal(400, "ThrottlingException", "", "Rate exceeded");
    pub(super) const INTERNAL: Self =
        refusal(500, "InternalFailure", "InternalFailure", "We encountered an internal error. Please try again.");
    pub(super) const UNAVAILABLE: Self =
        refusal(503, "", "", "<html><body><b>Http/1.1 Service Unavailable</b></body></html>");
    pub(super) const ACCESS_DENIED: Self =
        refusal(403, "AccessDeniedException", "AccessDenied", "User: test is not authorized to perform: sqs:*");
    pub(super) const EXPIRED_TOKEN: Self =
        refusal(403, "ExpiredTokenException", "ExpiredToken", "The security token included in the request is expired");
    pub(super) const NO_TOKEN: Self =
        refusal(403, "MissingAuthenticationTokenException", "MissingAuthenticationToken", "The request is not signed");
    pub(super) const UNKNOWN_OPERATION: Self =
        refusal(404, "UnknownOperationException", "", "There is no such operation.");
    pub(super) const NO_QUEUE: Self =
        refusal(400, "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "There is no such queue.");
    pub(super) const QUEUE_EXISTS: Self =
        refusal(400, "QueueNameExists", "QueueAlreadyExists", "It exists with other attributes.");
    pub(super) const INVALID_RECEIPT: Self =
        refusal(404, "ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", "The input receipt handle is invalid.");
    pub(super) const NOT_IN_FLIGHT: Self =
        refusal(400, "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight", "The message isn't in flight.");
    pub(super) const CONTENTS: Self =
        refusal(400, "InvalidMessageContents", "InvalidMessageContents", "The body has characters that XML has not.");
    pub(super) const EMPTY_BATCH: Self =
        refusal(400, "EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest", "The batch is empty.");
    pub(super) const TOO_MANY_ENTRIES: Self =
        refusal(400, "TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "Over 10.");
    pub(super) const ENTRY_IDS: Self =
        refusal(400, "BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Repeated id.");
    pub(super) const ENTRY_ID: Self =
        refusal(400, "InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId", "An id has a bad form.");
    pub(super) const BATCH_TOO_LONG: Self =
        refusal(400, "BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong", "Most is 1 MiB.");
}

impl Refusal {
    pub(super) fn value(message: impl Into<Cow<'static, str>>) -> Self {
        let refusal = refusal(400, "InvalidParameterValueException", "InvalidParameterValue", "");
        Self { message: message.into(), ..refusal }
    }

    pub(super) fn receipt(receipt: &str, reason: &str) -> Self {
        Self::value(format!("Value {receipt} for parameter ReceiptHandle is invalid. Reason: {reason}"))
    }

    pub(super) fn missing(parameter: &str) -> Self {
        let refusal = refusal(400, "MissingRequiredParameterException", "MissingParameter", "");
        Self { message: format!("The request must contain the parameter {parameter}.").into(), ..refusal }
    }

    /// Its name in the log.
    pub(super) fn name(&self) -> &'static str {
        if self.shape.is_empty() { "html" } else { self.shape }
    }
}
