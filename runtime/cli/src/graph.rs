//! `reactor graph`

use std::collections::BTreeSet;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use reactor_config::model::Config;
use reactor_core::plain::line;

use super::Global;
use super::exit::Exit;
use super::project::Project;

/// Print channels, reactors and the events between them as a diagram
///
/// In Mermaid, which many Markdown viewers draw, or in the language of Graphviz. Only reads the configuration; modules
/// need not be built.
///
/// Example: reactor graph --dot
#[derive(Debug, Args)]
pub(super) struct Graph {
    /// Print the language of Graphviz
    #[arg(long)]
    dot: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Channel,
    Reactor,
}

#[derive(Debug, Serialize)]
struct Node {
    kind: Kind,
    name: String,
    label: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Flow {
    /// The types that a reactor gets.
    Gets,
    /// The types that it emits.
    Emits,
    /// Where its dead letters go.
    DeadLetters,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Edge {
    from: (Kind, String),
    to: (Kind, String),
    flow: Flow,
    label: String,
}

impl Graph {
    pub(super) fn run(&self, global: &Global) -> Result<(), Exit> {
        let project = Project::load(global)?;
        let (nodes, edges) = (nodes(&project.config), edges(&project.config));
        if global.json {
            super::print_json(&json!({ "nodes": nodes, "edges": edges }));
        } else if self.dot {
            super::print_as_is(&dot(&nodes, &edges));
        } else {
            super::print_as_is(&mermaid(&nodes, &edges));
        }
        Ok(())
    }
}

fn nodes(config: &Config) -> Vec<Node> {
    let channels = config.channels.values().map(|channel| {
        let what = match &channel.outside {
            None => "local".to_owned(),
            Some(outside) => format!("{} {}", outside.kind, outside.settings.address()),
        };
        Node { kind: Kind::Channel, name: channel.name.clone(), label: format!("{} ({what})", channel.name) }
    });
    let reactors = config.reactors.keys();
    let reactors = reactors.map(|name| Node { kind: Kind::Reactor, name: name.clone(), label: name.clone() });
    channels.chain(reactors).collect()
}

fn edges(config: &Config) -> Vec<Edge> {
    let mut edges = BTreeSet::new();
    for channel in config.channels.values() {
        if let Some(to) = &channel.dead_letter {
            let (from, to) = ((Kind::Channel, channel.name.clone()), (Kind::Channel, to.clone()));
            edges.insert(Edge { from, to, flow: Flow::DeadLetters, label: "no events".to_owned() });
        }
    }
    for (name, reactor) in &config.reactors {
        let own = (Kind::Reactor, name.clone());
        let channel = |name: &String| (Kind::Channel, name.clone());
        let on: Vec<_> = reactor.on.iter().map(|pattern| pattern.text.as_str()).collect();
        let filtered = if reactor.when.fields.is_empty() { "" } else { " when ..." };
        for from in &reactor.from {
            let label = format!("{}{filtered}", on.join(", "));
            edges.insert(Edge { from: channel(from), to: own.clone(), flow: Flow::Gets, label });
        }
        let to: BTreeSet<_> = reactor.emit.iter().map(|(_, to)| to).collect();
        for to in to {
            let emitted =
                reactor.emit.iter().filter(|(_, other)| other == to).map(|(pattern, _)| pattern.text.as_str());
            let label = emitted.collect::<Vec<_>>().join(", ");
            edges.insert(Edge { from: own.clone(), to: channel(to), flow: Flow::Emits, label });
        }
        if let Some(to) = &reactor.dead_letter.channel {
            let label = "dead letters".to_owned();
            edges.insert(Edge { from: own.clone(), to: channel(to), flow: Flow::DeadLetters, label });
        }
    }
    edges.into_iter().collect()
}

/// An identifier in both languages: the only special character in a name is `-`, which is an operator there.
fn id((kind, name): &(Kind, String)) -> String {
    let prefix = match kind {
        Kind::Channel => "channel",
        Kind::Reactor => "reactor",
    };
    format!("{prefix}_{}", name.replace('-', "__"))
}

fn mermaid(nodes: &[Node], edges: &[Edge]) -> String {
    // Entities, since a quote ends a label, and Markdown in it would be interpreted.
    let quoted = |text: &str| {
        let escape = |c: char| match c {
            c if c.is_alphanumeric() || " ._-,()/:".contains(c) => c.to_string(),
            c => format!("#{};", u32::from(c)),
        };
        format!("\"{}\"", line(text).chars().map(escape).collect::<String>())
    };
    let mut lines = vec!["flowchart LR".to_owned()];
    for node in nodes {
        let (id, label) = (id(&(node.kind, node.name.clone())), quoted(&node.label));
        lines.push(match node.kind {
            Kind::Channel => format!("    {id}[({label})]"),
            Kind::Reactor => format!("    {id}[{label}]"),
        });
    }
    for edge in edges {
        let arrow = if edge.flow == Flow::DeadLetters { "-.->" } else { "-->" };
        lines.push(format!("    {} {arrow}|{}| {}", id(&edge.from), quoted(&edge.label), id(&edge.to)));
    }
    lines.join("\n")
}

fn dot(nodes: &[Node], edges: &[Edge]) -> String {
    // Graphviz interprets entities in labels, too.
    let quoted = |text: &str| {
        let text = line(text).replace('&', "&amp;").replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{text}\"")
    };
    let mut lines = vec!["digraph reactor {".to_owned(), "    rankdir=LR;".to_owned()];
    for node in nodes {
        let shape = if node.kind == Kind::Channel { "cylinder" } else { "box" };
        let id = id(&(node.kind, node.name.clone()));
        lines.push(format!("    {id} [label={}, shape={shape}];", quoted(&node.label)));
    }
    for edge in edges {
        let style = if edge.flow == Flow::DeadLetters { ", style=dashed" } else { "" };
        lines.push(format!("    {} -> {} [label={}{style}];", id(&edge.from), id(&edge.to), quoted(&edge.label)));
    }
    lines.push("}".to_owned());
    lines.join("\n")
}
