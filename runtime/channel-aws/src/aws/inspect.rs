//! What AWS's answers reveal about a channel, and how to fix it.

use reactor_channel::inspect::{Finding, Level};
use reactor_config::Written;
use reactor_core::channel::{ChannelError, Trouble};

/// Beginning of a fix that the host makes by itself.
pub(crate) const BY_UP: &str = "`reactor up` will";

/// Who creates missing resources and corrects wrong settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// `reactor up`, because the channel has `create = true`.
    ByHost,
    /// The user.
    ByHand,
}

impl Setup {
    pub(crate) fn of(create: bool) -> Self {
        if create { Self::ByHost } else { Self::ByHand }
    }
}

/// The report about a channel: that it exists, if it does, that sending was not tried, and the findings. Names that AWS
/// repeats in its own names are shown as written in the configuration.
pub(crate) fn report(
    there: Option<String>,
    mut findings: Vec<Finding>,
    to_send: Option<&str>,
    names: &[&Written],
) -> Vec<Finding> {
    if let Some(action) = to_send.filter(|_| there.is_some()) {
        let what = "whether the host may send there was not tried, because that would send a message";
        findings.push(Finding::new(Level::Note, what).fix(format!("it needs {action}")));
    }
    if let Some(there) = there
        && findings.iter().all(|finding| finding.level < Level::Warning)
    {
        findings.insert(0, Finding::new(Level::Ok, there));
    }
    let hide = |text: String| names.iter().fold(text, |text, name| name.hide(&text).into_owned());
    let hidden = |finding: Finding| Finding { what: hide(finding.what), fix: finding.fix.map(hide), ..finding };
    findings.into_iter().map(hidden).collect()
}

/// The finding for an error that prevented the inspection of a channel.
pub(crate) fn failed(error: &ChannelError, name: &str, action: &str, setup: Setup) -> Finding {
    if error.trouble == Trouble::Missing && setup == Setup::ByHost {
        return Finding::new(Level::Note, format!("{name} does not exist yet")).fix(format!("{BY_UP} create it"));
    }
    let (what, fix) = split(error);
    let finding = Finding::new(Level::Error, what);
    match fix {
        // Without credentials, permissions are not the problem.
        Some(fix) if fix.contains("policy") => finding.fix(format!("{fix}: {action} is needed")),
        Some(fix) => finding.fix(fix),
        None => finding,
    }
}

/// The finding for an error that prevented the inspection of the subscription, which the host itself reads only with
/// `create`.
pub(crate) fn unseen(error: &ChannelError, action: &str, setup: Setup) -> Finding {
    let finding = failed(error, "", action, Setup::ByHand);
    let level = if error.trouble == Trouble::Denied && setup == Setup::ByHand { Level::Warning } else { Level::Error };
    Finding { level, ..finding }
}

/// An error's text and the fix at its end, which these kinds of errors have.
pub(crate) fn split(error: &ChannelError) -> (&str, Option<&str>) {
    let advised = matches!(error.trouble, Trouble::Denied | Trouble::Missing | Trouble::Misconfigured);
    match error.detail.rsplit_once("; ") {
        Some((what, fix)) if advised => (what, Some(fix)),
        _ => (&error.detail, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(trouble: Trouble, detail: &str) -> ChannelError {
        ChannelError { trouble, detail: detail.into() }
    }

    #[test]
    fn errors_are_told_with_their_advice() {
        let missing = error(Trouble::Missing, "looking for queue `q`: none; create it, or set `create = true`");
        let found = failed(&missing, "queue `q`", "sqs:GetQueueUrl", Setup::ByHand);
        assert_eq!((found.level, found.what.as_str()), (Level::Error, "looking for queue `q`: none"));
        assert_eq!(found.fix.as_deref(), Some("create it, or set `create = true`"));
        let found = failed(&missing, "queue `q`", "sqs:GetQueueUrl", Setup::ByHost);
        assert_eq!((found.level, found.what.as_str()), (Level::Note, "queue `q` does not exist yet"));
        assert_eq!(found.fix.as_deref(), Some("`reactor up` will create it"));
        let denied = error(Trouble::Denied, "inspecting queue `q`: AccessDenied: a; b; check the IAM policy");
        let found = failed(&denied, "", "sqs:GetQueueAttributes", Setup::ByHost);
        assert_eq!((found.level, found.what.as_str()), (Level::Error, "inspecting queue `q`: AccessDenied: a; b"));
        assert_eq!(found.fix.as_deref(), Some("check the IAM policy: sqs:GetQueueAttributes is needed"));
        let nobody = error(Trouble::Denied, "no credentials; set AWS_PROFILE");
        assert_eq!(failed(&nobody, "", "sqs:GetQueueUrl", Setup::ByHost).fix.as_deref(), Some("set AWS_PROFILE"));
        let found = failed(&error(Trouble::Unreachable, "connection; broken"), "", "sqs:GetQueueUrl", Setup::ByHost);
        assert_eq!(found, Finding::new(Level::Error, "connection; broken"));
    }

    #[test]
    fn only_what_the_host_itself_does_has_to_be_permitted() {
        let denied = error(Trouble::Denied, "AccessDenied; check the IAM policy");
        assert_eq!(unseen(&denied, "sns:ListSubscriptionsByTopic", Setup::ByHost).level, Level::Error);
        assert_eq!(unseen(&denied, "sns:ListSubscriptionsByTopic", Setup::ByHand).level, Level::Warning);
        let broken = error(Trouble::Unreachable, "broken");
        assert_eq!(unseen(&broken, "sns:ListSubscriptionsByTopic", Setup::ByHand).level, Level::Error);
    }
}
