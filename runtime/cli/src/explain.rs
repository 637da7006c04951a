//! `reactor explain`

use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use super::Global;
use super::codes::{PAGES, nearest, summary};
use super::exit::{self, Exit};

/// Explain the code of an error, a warning or a dead letter
///
/// Codes are in brackets in messages about the configuration, such as `error[unknown-key]`, and are the reasons in `reactor dead list`.
/// Without a code, lists all of them. Needs no configuration.
///
/// Example: reactor explain retries-exhausted
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The code to explain
    code: Option<String>,
}

impl Explain {
    pub(super) fn run(self, global: &Global) -> Result<(), Exit> {
        match self.code {
            Some(code) => one(&code, global.json),
            None => all(global.json),
        }
    }
}

fn one(code: &str, as_json: bool) -> Result<(), Exit> {
    let Some((code, page)) = PAGES.iter().find(|(known, _)| *known == code) else {
        let hint = nearest(code)
            .map(|near| format!("; did you mean `{near}`? `reactor explain` lists them all"))
            .unwrap_or_default();
        let error = anyhow!("there is no code `{code}`{hint}");
        return Err(Exit::new(exit::USAGE, error));
    };
    if as_json {
        super::print_json(&json!({ "code": code, "summary": summary(page), "text": page }));
    } else {
        super::print_as_is(page.trim_end());
    }
    Ok(())
}

fn all(as_json: bool) -> Result<(), Exit> {
    if as_json {
        let codes: Vec<_> =
            PAGES.iter().map(|(code, page)| json!({ "code": code, "summary": summary(page) })).collect();
        super::print_json(&json!({ "codes": codes }));
        return Ok(());
    }
    let width = PAGES.iter().map(|(code, _)| code.len()).max().unwrap_or_default();
    for (code, page) in PAGES {
        out!("{code:width$}  {}", summary(page));
    }
    Ok(())
}
