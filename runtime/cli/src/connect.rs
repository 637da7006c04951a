//! `reactor check --connect`: checks the remote channels.

use std::time::Duration;

use anyhow::anyhow;
use futures_util::future::join_all;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use reactor_channel::inspect::{Finding, Level};
use reactor_channel::kind::{Connections, Opened, inspect};

use super::exit::{self, Exit};
use super::hidden::hide;
use super::project::Project;
use crate::kinds::KINDS;

/// How long all channels together may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The findings about a channel.
#[derive(Debug, Serialize)]
pub(super) struct Inspected {
    name: String,
    findings: Vec<Finding>,
}

impl Inspected {
    /// Prints a line for each finding.
    pub(super) fn print(&self) {
        for Finding { level, what, fix } in &self.findings {
            let fix = fix.as_ref().map(|fix| format!("; {fix}")).unwrap_or_default();
            // Some of the text comes from the remote side, on any number of lines.
            let line = format!("{}: {level}: {what}{fix}", self.name);
            out!("{}", line.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }

    fn is_broken(&self) -> bool {
        self.findings.iter().any(|finding| finding.level == Level::Error)
    }
}

/// Inspects all remote channels concurrently.
pub(super) fn connect(project: &Project) -> Result<Vec<Inspected>, Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(async {
        let deadline = Instant::now() + PATIENCE;
        let with = &Connections::default();
        let outside = project.config.channels.values().filter(|channel| channel.is_remote());
        let inspected = outside.map(|channel| async move {
            let name = &channel.name;
            let readers = project.readers(name);
            let channel = Opened { channel, readers: &readers };
            let looking = inspect(KINDS, with, channel, project.is_written(name));
            let findings = timeout_at(deadline, looking).await.unwrap_or_else(|_| vec![unanswered()]);
            Inspected { name: name.clone(), findings: findings.into_iter().map(hidden).collect() }
        });
        join_all(inspected).await
    }))
}

/// Responses of AWS contain names, types and policies, which the configuration may get from variables.
fn hidden(finding: Finding) -> Finding {
    let hide = |text: String| hide(&text).into_owned();
    Finding { what: hide(finding.what), fix: finding.fix.map(hide), ..finding }
}

fn unanswered() -> Finding {
    let what = format!("no answer within {} s", PATIENCE.as_secs());
    Finding::new(Level::Error, what).fix("check the network, AWS_REGION and AWS_ENDPOINT_URL")
}

/// Returns an error if any channel has one.
pub(super) fn verdict(inspected: &[Inspected]) -> Result<(), Exit> {
    let broken = inspected.iter().filter(|channel| channel.is_broken()).count();
    if broken == 0 {
        return Ok(());
    }
    let all = inspected.len();
    Err(Exit::new(exit::FAILURE, anyhow!("{broken} of {all} remote channels cannot be used as they are")))
}
