//! `reactor new`

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;

use reactor_config::Loaded;
use reactor_core::subscription::TypePattern;

use super::Global;
use super::exit::{self, Exit};
use super::project::print_problems;

/// Create a consumer: a crate with a handler and its test, and its table in reactors.toml
///
/// Writes the folder NAME next to the configuration file, and creates that file if necessary. The crate builds, passes
/// its own test, and runs as it is. The SDK comes from --sdk, or else from REACTOR_SDK, from the sources that this
/// program was built from, or from the registry.
///
/// Example: reactor new greeter
#[derive(Debug, Args)]
pub(super) struct New {
    /// The name of the reactor, the crate and its folder
    name: String,
    /// The channel to read; by default the first local one. A new configuration gets a channel of this name
    #[arg(long)]
    channel: Option<String>,
    /// The event type to subscribe to
    #[arg(long, value_name = "TYPE", default_value = "greeted")]
    on: String,
    /// The folder of the crate reactor-guest
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

const DEFAULT_CHANNEL: &str = "events";

/// What to write, checked beforehand.
struct Plan {
    folder: PathBuf,
    files: Vec<(PathBuf, String)>,
    config: PathBuf,
    before: Option<String>,
    after: String,
}

impl New {
    pub(super) fn run(&self, global: &Global) -> Result<(), Exit> {
        let plan = self.plan(global)?;
        if let Err(error) = plan.write() {
            plan.take_back();
            return Err(Exit::new(exit::FAILURE, error));
        }
        // The program's own parser decides.
        if let Err(problems) = reactor_config::load(&plan.config, &env, crate::kinds::KINDS) {
            plan.take_back();
            print_problems(global, &problems);
            return Err(Exit::printed(exit::CONFIG));
        }
        let (name, config) = (&self.name, plan.config.display());
        let channel = self.channel_of(&plan.after);
        say!("created the crate {name}/ with a handler and a test, and added a table for it to {config}. Next:");
        say!("");
        say!("    cargo test --manifest-path {name}/Cargo.toml");
        say!("    reactor build {name}");
        say!("    reactor invoke {name} {name}/event.json");
        say!("    reactor publish {channel} {name}/event.json");
        say!("    reactor up --until-idle");
        Ok(())
    }

    fn plan(&self, global: &Global) -> Result<Plan, Exit> {
        let name = &self.name;
        let usage = |why: String| Exit::new(exit::USAGE, anyhow!(why));
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let valid = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.len() <= 63;
        if !valid || !name.chars().all(|c| letter(c) || c == '-' || c == '_') {
            return Err(usage(format!(
                "`{name}` cannot be the name of a crate and a reactor: use 1 to 63 characters of a-z, 0-9, - and _, beginning with a letter"
            )));
        }
        if let Err(error) = TypePattern::parse(&self.on) {
            return Err(usage(format!("--on {}: {error}", self.on)));
        }
        let config = global.config.clone();
        let root = std::path::absolute(&config)?.parent().map(Path::to_path_buf).unwrap_or_default();
        let folder = root.join(name);
        if folder.exists() {
            return Err(usage(format!("{} already exists; choose another name, or move it away", folder.display())));
        }
        let before = match fs::read_to_string(&config) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(Exit::new(exit::CONFIG, anyhow!("cannot read {}: {error}", config.display()))),
        };
        let after = match &before {
            Some(text) => self.appended(global, text)?,
            None => self.fill(
                concat!(include_str!("channel.toml.txt"), include_str!("reactor.toml.txt")),
                &self.first_channel(),
            ),
        };
        let event_type = self.on.split('@').next().unwrap_or_default().replace('*', "any");
        let event = serde_json::json!({ "eventId": "greeting-1", "eventType": event_type, "source": "me", "data": { "name": "ada" } });
        let files = vec![
            (
                folder.join("Cargo.toml"),
                self.fill(include_str!("Cargo.toml.txt"), "").replace("@SDK@", &self.sdk(&folder)?),
            ),
            (folder.join("src/lib.rs"), self.fill(include_str!("lib.rs.txt"), "")),
            (folder.join("event.json"), format!("{event}\n")),
            (folder.join(".gitignore"), "/target\n".to_owned()),
        ];
        Ok(Plan { folder, files, config, before, after })
    }

    fn first_channel(&self) -> String {
        self.channel.clone().unwrap_or_else(|| DEFAULT_CHANNEL.to_owned())
    }

    /// The file with one more table, appended to the end so that no text is lost.
    fn appended(&self, global: &Global, text: &str) -> Result<String, Exit> {
        let loaded = reactor_config::parse(text, &global.config, &env, crate::kinds::KINDS).map_err(|problems| {
            print_problems(global, &problems);
            Exit::printed(exit::CONFIG)
        })?;
        let Loaded { config, .. } = loaded;
        let (name, file) = (&self.name, global.config.display());
        if config.reactors.contains_key(name) {
            return Err(Exit::new(exit::USAGE, anyhow!("{file} already has a reactor `{name}`; choose another name")));
        }
        let local = config.channels.values().find(|channel| !channel.is_remote());
        let gap = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
        match (&self.channel, local) {
            (Some(wanted), _) if !config.channels.contains_key(wanted) => {
                let known: Vec<_> = config.channels.keys().cloned().collect();
                let why = anyhow!("{file} has no channel `{wanted}`; its channels are: {}", known.join(", "));
                Err(Exit::new(exit::USAGE, why))
            }
            (Some(wanted), _) => Ok(format!("{text}{gap}{}", self.fill(include_str!("reactor.toml.txt"), wanted))),
            (None, Some(channel)) => {
                Ok(format!("{text}{gap}{}", self.fill(include_str!("reactor.toml.txt"), &channel.name)))
            }
            (None, None) => {
                let table = self.fill(
                    concat!("\n", include_str!("channel.toml.txt"), include_str!("reactor.toml.txt")),
                    DEFAULT_CHANNEL,
                );
                Ok(format!("{text}{gap}{table}"))
            }
        }
    }

    fn fill(&self, template: &str, channel: &str) -> String {
        template
            .replace("@NAME@", &self.name)
            .replace("@CRATE@", &self.name.replace('-', "_"))
            .replace("@CHANNEL@", channel)
            .replace("@ON@", &self.on)
    }

    /// The channel that the new table names.
    fn channel_of(&self, text: &str) -> String {
        let table = text.rsplit("[reactors.").next().unwrap_or_default();
        let from = table.lines().find_map(|line| line.strip_prefix("from = [\"")?.split('"').next());
        from.unwrap_or(DEFAULT_CHANNEL).to_owned()
    }

    /// The dependency for the crate's manifest.
    fn sdk(&self, folder: &Path) -> Result<String, Exit> {
        let given = self.sdk.clone().or_else(|| std::env::var_os("REACTOR_SDK").map(PathBuf::from));
        let built_from = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest-sdk"));
        let path = match given {
            Some(dir) if !dir.join("Cargo.toml").is_file() => {
                let why = anyhow!("{} is not the folder of a crate; give the folder of reactor-guest", dir.display());
                return Err(Exit::new(exit::USAGE, why));
            }
            Some(dir) => Some(dir),
            None => built_from.join("Cargo.toml").is_file().then_some(built_from),
        };
        let Some(path) = path else { return Ok(format!("\"{}\"", env!("CARGO_PKG_VERSION"))) };
        let path = relative(&path.canonicalize()?, &folder.parent().unwrap_or(folder).canonicalize()?);
        Ok(format!("{{ path = {:?} }}", path.display().to_string()))
    }
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The path as seen from a folder inside `base`, if both are in one source tree; otherwise unchanged.
fn relative(path: &Path, base: &Path) -> PathBuf {
    match path.parent() {
        Some(tree) if base.starts_with(tree) => {
            let up = base.strip_prefix(tree).map_or(0, |below| below.components().count()) + 1;
            let own = path.strip_prefix(tree).unwrap_or(path);
            std::iter::repeat_n("..", up).collect::<PathBuf>().join(own)
        }
        _ => path.to_path_buf(),
    }
}

impl Plan {
    fn write(&self) -> anyhow::Result<()> {
        for (path, text) in &self.files {
            let dir = path.parent().unwrap_or(&self.folder);
            fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        fs::write(&self.config, &self.after).with_context(|| format!("cannot write {}", self.config.display()))
    }

    /// Restores the previous state.
    fn take_back(&self) {
        let _ = fs::remove_dir_all(&self.folder);
        let _ = match &self.before {
            Some(text) => fs::write(&self.config, text),
            None => fs::remove_file(&self.config),
        };
    }
}
