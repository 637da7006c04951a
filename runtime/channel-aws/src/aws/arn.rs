//! Parsing of AWS names.

/// The parts of a queue's ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueArn<'a> {
    /// Its region.
    pub(crate) region: &'a str,
    /// Its owner's account.
    pub(crate) account: &'a str,
    /// Its name.
    pub(crate) name: &'a str,
}

impl<'a> QueueArn<'a> {
    /// Parses `arn:aws:sqs:REGION:ACCOUNT:NAME`; `None` if the text is not the ARN of a queue.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        match text.split(':').collect::<Vec<_>>()[..] {
            ["arn", _, "sqs", region, account, name] => Some(Self { region, account, name }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_arn_of_a_queue_is_taken_apart() {
        let found = QueueArn::parse("arn:aws:sqs:eu-west-1:123456789012:orders.fifo");
        assert_eq!(found, Some(QueueArn { region: "eu-west-1", account: "123456789012", name: "orders.fifo" }));
        for other in
            ["orders", "https://sqs.example:1/0/q", "arn:aws:sns:eu-west-1:123456789012:t", "arn:aws:sqs:a:b", ""]
        {
            assert_eq!(QueueArn::parse(other), None, "{other}");
        }
    }
}
