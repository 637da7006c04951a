//! `reactor check`

use clap::Args;
use serde_json::json;

use reactor_config::model::ReactorConfig;
use reactor_core::subscription::Rate;

use super::connect::{Inspected, connect, verdict};
use super::exit::Exit;
use super::modules::Modules;
use super::project::Project;
use super::report::{add_row, table};
use super::{Global, print_as_is, print_json};

/// Check the configuration and the modules: syntax, names, routes, and imports against grants
///
/// Starts nothing, and changes nothing except the cache of compiled modules. Exit code 3: the configuration is wrong; 4: a
/// module is missing, broken, or imports what it was not granted.
///
/// Example: reactor check --json
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Also ask AWS about every remote channel: whether it exists, may be used, and fits the reactors
    ///
    /// Nothing is created, changed, received or sent. The usual AWS_ variables choose the account and region, or an
    /// emulator. This takes 30 s at most. Exit code 1: a channel cannot be used as it is. Warnings do not count as failures.
    ///
    /// Example: AWS_ENDPOINT_URL=http://127.0.0.1:4566 reactor check --connect
    #[arg(long)]
    connect: bool,
}

impl Check {
    pub(super) fn run(&self, global: &Global) -> Result<(), Exit> {
        let project = Project::load_with_warnings(global)?;
        let modules = Modules::load(&project, global)?;
        for (name, module) in &modules.loaded {
            for grant in &module.unused_grants {
                let drop =
                    if grant == "emit" { "its `emit` table".into() } else { format!("`{grant}` from its `allow`") };
                say!("note: reactor `{name}` is granted {grant}, but its module does not import it; remove {drop}");
            }
        }
        let channels = self.connect.then(|| connect(&project)).transpose()?;
        let verdict = verdict(channels.as_deref().unwrap_or_default());
        if global.json {
            let reactors: Vec<_> = modules
                .loaded
                .iter()
                .map(|(name, module)| {
                    json!({
                        "name": name,
                        "module": project.config.reactors[name].module.shown(),
                        "digest": module.digest,
                        "imports": module.imports,
                        "unusedGrants": module.unused_grants,
                    })
                })
                .collect();
            let mut report = json!({ "ok": verdict.is_ok(), "reactors": reactors });
            if let Some(channels) = channels {
                report["channels"] = json!(channels);
            }
            print_json(&report);
            return verdict;
        }
        print_topology(&project, &modules);
        channels.iter().flatten().for_each(Inspected::print);
        verdict?;
        out!("ok: {} channels, {} reactors", project.config.channels.len(), project.config.reactors.len());
        Ok(())
    }
}

/// Prints which reactor takes which events from which channels.
pub(super) fn print_topology(project: &Project, modules: &Modules) {
    let mut rows = table(&["reactor", "module", "from", "on", "emits", "limits"]);
    for (name, reactor) in &project.config.reactors {
        let on: Vec<_> = reactor.on.iter().map(|pattern| pattern.text.as_str()).collect();
        let emits: Vec<_> = reactor.emit.iter().map(|(pattern, to)| format!("{} > {to}", pattern.text)).collect();
        let digest = modules.loaded.get(name).map_or("", |module| module.digest.get(..12).unwrap_or_default());
        let (from, on, emits) = (reactor.from.join(", "), on.join(", "), emits.join(", "));
        add_row(&mut rows, [name.as_str(), digest, &from, &on, &emits, &limits(reactor)]);
    }
    rows.column_iter_mut().for_each(|column| column.set_cell_alignment(comfy_table::CellAlignment::Left));
    print_as_is(&rows.to_string());
}

/// A reactor's limits on runs (concurrency, rate, breaker), in few words.
fn limits(reactor: &ReactorConfig) -> String {
    let mut limits = vec![format!("{} at once", reactor.concurrency)];
    if let Some(Rate { count, per }) = reactor.rate {
        let unit = match per.as_secs() {
            60 => "m",
            3_600 => "h",
            _ => "s",
        };
        limits.push(format!("{count}/{unit}"));
    }
    if let Some(breaker) = reactor.breaker {
        limits.push(format!("breaker {}", breaker.failures));
    }
    limits.join(", ")
}
