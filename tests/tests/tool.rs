//! The commands that need no store: diagrams, completions, help.

use reactor_tests::{Sandbox, root};

fn subcommands(help: &str) -> Vec<String> {
    let (_, list) = help.split_once("Commands:\n").expect("a list of commands");
    let names = list.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_command_has_an_example_in_its_help() {
    let sandbox = Sandbox::new("");
    let help = |args: &[&str]| sandbox.run(&[args, &["--help"]].concat()).ok().stdout;
    let mut checked = 0;
    for name in subcommands(&help(&[])) {
        let text = help(&[&name]);
        if text.contains("\nCommands:\n") {
            for deeper in subcommands(&text) {
                assert!(help(&[&name, &deeper]).contains("Example: reactor"), "{name} {deeper}");
                checked += 1;
            }
        } else {
            assert!(text.contains("Example: reactor"), "{name}");
            checked += 1;
        }
    }
    assert!(checked >= 14, "only {checked} commands");
}

#[test]
fn every_shell_completes_every_command() {
    let sandbox = Sandbox::new("");
    let commands = subcommands(&sandbox.run(&["--help"]).ok().stdout);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = sandbox.run(&["completions", shell]).ok().stdout;
        for command in &commands {
            assert!(script.contains(command.as_str()), "{command} is not completed in {shell}");
        }
    }
    sandbox.run(&["completions", "tcsh"]).code(2);
}

#[test]
fn the_example_as_a_diagram() {
    let config = root().join("reactors.toml").display().to_string();
    let sandbox = Sandbox::new("");
    let mermaid = sandbox.run(&["--config", &config, "graph"]).ok().stdout;
    let expected = "flowchart LR
    channel_shop[(\"shop (local)\")]
    reactor_analytics[\"analytics\"]
    reactor_inventory[\"inventory\"]
    reactor_notifications[\"notifications\"]
    reactor_payments[\"payments\"]
    channel_shop -->|\"#42;#42;\"| reactor_analytics
    channel_shop -->|\"order.placed#64;#60;3, order.cancelled\"| reactor_inventory
    channel_shop -->|\"order.#42;, inventory.#42;, payment.#42;\"| reactor_notifications
    channel_shop -->|\"inventory.reserved when ...\"| reactor_payments
    reactor_inventory -->|\"inventory.#42;\"| channel_shop
    reactor_notifications -->|\"notification.sent\"| channel_shop
    reactor_payments -->|\"payment.captured\"| channel_shop
";
    assert_eq!(mermaid, expected);
    let dot = sandbox.run(&["--config", &config, "graph", "--dot"]).ok().stdout;
    assert!(dot.starts_with("digraph reactor {\n") && dot.ends_with("}\n"), "{dot}");
    assert!(
        dot.contains("    channel_shop -> reactor_inventory [label=\"order.placed@<3, order.cancelled\"];\n"),
        "{dot}"
    );
    let graph = sandbox.run(&["--json", "--config", &config, "graph"]).ok().json();
    assert_eq!((graph["nodes"].as_array().map(Vec::len), graph["edges"].as_array().map(Vec::len)), (Some(5), Some(7)));
}

#[test]
fn channels_outside_and_dead_letters_are_drawn() {
    let sandbox = Sandbox::new(
        "[channels.a-b]\nkind = \"sqs\"\nqueue = \"orders\"\n[channels.dead]\nkind = \"local\"\n[reactors.r-1]\nmodule = \"r.wasm\"\n\
         from = [\"a-b\"]\non = [\"a\"]\nemit = { x = \"dead\" }\n[reactors.r-1.dead-letter]\nchannel = \"dead\"\n",
    );
    let mermaid = sandbox.run(&["graph"]).ok().stdout;
    assert!(mermaid.contains("channel_a__b[(\"a-b (sqs orders)\")]"), "{mermaid}");
    assert!(mermaid.contains("reactor_r__1 -.->|\"dead letters\"| channel_dead"), "{mermaid}");
}
