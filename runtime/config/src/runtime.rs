//! `[runtime]`

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::Located;
use super::model::RuntimeConfig;
use super::reactor::below_root;
use super::reader::{Reader, Section};

/// Its keys.
pub(super) const KEYS: &[&str] = &["data-dir", "concurrency", "drain", "hop-limit", "queue-memory", "admin", "history"];

pub(super) fn read(reader: &mut Reader<'_>, section: Option<&Section<'_>>, root: &Path) -> RuntimeConfig {
    let mut config = RuntimeConfig {
        data_dir: Located::from(root.join(".reactor")),
        concurrency: 256,
        drain: Duration::from_secs(25),
        hop_limit: 16,
        queue_memory: 64 << 20,
        admin: None,
        history: Duration::from_secs(7 * 86_400),
    };
    let Some(section) = section else { return config };
    reader.known_keys(section, KEYS);
    if let Some(dir) = reader.text(section, "data-dir") {
        let path = Path::new(&dir.value);
        // An absolute path is the operator's own choice; a relative one must stay below the configuration.
        let wrong = if path.is_absolute() { None } else { below_root(path).err() };
        match wrong {
            Some(why) => {
                let title = format!("the data folder `{}` is not below the folder of the configuration", dir.written);
                let problem = reader.problem(dir.span.clone(), "path-escapes", title).label(dir.reason(why));
                reader.note(problem.help("write a path below it, or an absolute one"));
            }
            None => config.data_dir = reader.located(root, &dir),
        }
    }
    if let Some(count) = reader.integer(section, "concurrency", 1..=10_000) {
        config.concurrency = count as usize;
    }
    if let Some(drain) = reader.duration(section, "drain", Duration::ZERO..=Duration::from_secs(3_600)) {
        config.drain = drain;
    }
    if let Some(hops) = reader.integer(section, "hop-limit", 1..=1_000) {
        config.hop_limit = hops as u32;
    }
    if let Some(bytes) = reader.size(section, "queue-memory", 1 << 20..=64 << 30) {
        config.queue_memory = bytes;
    }
    config.admin = admin(reader, section);
    if let Some(history) = reader.duration(section, "history", Duration::ZERO..=Duration::from_secs(365 * 86_400)) {
        config.history = history;
    }
    config
}

/// An address reachable only from this machine: the answers must not be public.
fn admin(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<SocketAddr> {
    let text = reader.text(section, "admin")?;
    let help = "write a loopback address with a port: \"127.0.0.1:9464\", or port 0 for any free one";
    match text.value.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => return Some(address),
        Ok(_) => reader.bad_text(&text, &section.dotted("admin"), "other machines could reach it", help),
        Err(_) => reader.bad_text(&text, &section.dotted("admin"), "this is not an address with a port", help),
    }
    None
}
