//! Errors as SQS answers them: a shape in the body, and the older code of the query protocol in a header, which is what
//! the SDK goes by if it is there.

/// An error of a call, or of an entry of a batch.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// `__type` in the body; empty for an answer that is no JSON.
    pub(super) shape: &'static str,
    /// The older code; empty if there is none.
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Refusal {
    fn new(status: u16, shape: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, shape, code, message: message.into() }
    }

    /// What tests and logs call it.
    pub(super) fn name(&self) -> &'static str {
        self.shape.rsplit_once('#').map_or("html", |(_, name)| name)
    }

    pub(super) fn throttled() -> Self {
        Self::new(400, "com.amazonaws.sqs#RequestThrottled", "RequestThrottled", "Request is throttled.")
    }

    pub(super) fn throttling_exception() -> Self {
        Self::new(400, "com.amazon.coral.availability#ThrottlingException", "", "Rate exceeded")
    }

    pub(super) fn internal() -> Self {
        let message = "We encountered an internal error. Please try again.";
        Self::new(500, "com.amazon.coral.service#InternalFailure", "InternalFailure", message)
    }

    pub(super) fn unavailable() -> Self {
        Self::new(503, "", "", "<html><body><b>Http/1.1 Service Unavailable</b></body></html>")
    }

    pub(super) fn access_denied() -> Self {
        let message = "User: arn:aws:iam::000000000000:user/test is not authorized to perform: sqs:*";
        Self::new(403, "com.amazon.coral.service#AccessDeniedException", "AccessDenied", message)
    }

    pub(super) fn expired_token() -> Self {
        let message = "The security token included in the request is expired";
        Self::new(403, "com.amazon.coral.service#ExpiredTokenException", "ExpiredToken", message)
    }

    pub(super) fn no_token() -> Self {
        let shape = "com.amazon.coral.service#MissingAuthenticationTokenException";
        Self::new(403, shape, "MissingAuthenticationToken", "Request is missing Authentication Token")
    }

    pub(super) fn unknown_operation() -> Self {
        Self::new(404, "com.amazon.coral.service#UnknownOperationException", "", "")
    }

    pub(super) fn no_queue() -> Self {
        let code = "AWS.SimpleQueueService.NonExistentQueue";
        Self::new(400, "com.amazonaws.sqs#QueueDoesNotExist", code, "The specified queue does not exist.")
    }

    pub(super) fn queue_exists() -> Self {
        let message = "A queue already exists with the same name and a different value for an attribute";
        Self::new(400, "com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists", message)
    }

    pub(super) fn invalid_receipt() -> Self {
        let message = "The input receipt handle is invalid.";
        Self::new(404, "com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", message)
    }

    pub(super) fn receipt(receipt: &str, reason: &str) -> Self {
        Self::value(format!("Value {receipt} for parameter ReceiptHandle is invalid. Reason: {reason}"))
    }

    pub(super) fn not_in_flight() -> Self {
        let code = "AWS.SimpleQueueService.MessageNotInflight";
        Self::new(400, "com.amazonaws.sqs#MessageNotInflight", code, "The message referred to isn't in flight.")
    }

    pub(super) fn value(message: impl Into<String>) -> Self {
        let shape = "com.amazon.coral.service#InvalidParameterValueException";
        Self::new(400, shape, "InvalidParameterValue", message)
    }

    pub(super) fn missing(parameter: &str) -> Self {
        let shape = "com.amazon.coral.service#MissingRequiredParameterException";
        let message = format!("The request must contain the parameter {parameter}.");
        Self::new(400, shape, "MissingParameter", message)
    }

    pub(super) fn contents() -> Self {
        let message = "Invalid binary character was found in the message body.";
        Self::new(400, "com.amazonaws.sqs#InvalidMessageContents", "InvalidMessageContents", message)
    }

    pub(super) fn empty_batch() -> Self {
        let code = "AWS.SimpleQueueService.EmptyBatchRequest";
        Self::new(400, "com.amazonaws.sqs#EmptyBatchRequest", code, "There should be at least one entry.")
    }

    pub(super) fn too_many_entries() -> Self {
        let code = "AWS.SimpleQueueService.TooManyEntriesInBatchRequest";
        let message = "Maximum number of entries per request are 10.";
        Self::new(400, "com.amazonaws.sqs#TooManyEntriesInBatchRequest", code, message)
    }

    pub(super) fn entry_ids() -> Self {
        let code = "AWS.SimpleQueueService.BatchEntryIdsNotDistinct";
        Self::new(400, "com.amazonaws.sqs#BatchEntryIdsNotDistinct", code, "An id is repeated.")
    }

    pub(super) fn entry_id() -> Self {
        let code = "AWS.SimpleQueueService.InvalidBatchEntryId";
        Self::new(400, "com.amazonaws.sqs#InvalidBatchEntryId", code, "An id has a bad character or is too long.")
    }

    pub(super) fn batch_too_long() -> Self {
        let code = "AWS.SimpleQueueService.BatchRequestTooLong";
        Self::new(400, "com.amazonaws.sqs#BatchRequestTooLong", code, "Batch requests cannot be longer than 1 MiB.")
    }
}
