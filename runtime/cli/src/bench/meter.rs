//! What this process has used: CPU time by thread, bytes written, memory. Read from `/proc`; zero without it.

use std::collections::BTreeMap;
use std::time::Duration;

/// Usage since the process began.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    cpu: BTreeMap<String, Duration>,
    written: u64,
}

/// Usage between two readings.
#[derive(Clone, Debug, Default)]
pub struct Used {
    /// CPU time by the names of threads that are still alive.
    pub cpu: BTreeMap<String, Duration>,
    /// Bytes written, or to be written, to a disk.
    pub written: u64,
}

impl Meter {
    /// Reads the current usage.
    pub fn now() -> Self {
        Self { cpu: cpu_by_thread(), written: written() }
    }

    /// The usage since this reading.
    pub fn used(&self) -> Used {
        let now = Self::now();
        let since =
            |name: &String, time: Duration| time.saturating_sub(self.cpu.get(name).copied().unwrap_or_default());
        Used {
            cpu: now.cpu.iter().map(|(name, time)| (name.clone(), since(name, *time))).collect(),
            written: now.written.saturating_sub(self.written),
        }
    }
}

impl Used {
    /// CPU time of the threads whose names have this prefix.
    pub fn cpu_of(&self, prefix: &str) -> Duration {
        self.cpu.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, time)| *time).sum()
    }

    /// CPU time of all threads.
    pub fn cpu_in_all(&self) -> Duration {
        self.cpu.values().sum()
    }
}

fn cpu_by_thread() -> BTreeMap<String, Duration> {
    let mut times: BTreeMap<String, Duration> = BTreeMap::new();
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return times };
    for task in tasks.flatten() {
        // The first number is nanoseconds on a CPU.
        let Ok(stat) = std::fs::read_to_string(task.path().join("schedstat")) else { continue };
        let Ok(name) = std::fs::read_to_string(task.path().join("comm")) else { continue };
        let spent = stat.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0);
        *times.entry(name.trim().to_owned()).or_default() += Duration::from_nanos(spent);
    }
    times
}

fn written() -> u64 {
    number("/proc/self/io", "write_bytes:")
}

/// Bytes of memory in use.
pub fn resident() -> u64 {
    number("/proc/self/status", "VmRSS:") << 10
}

/// Peak memory in bytes since [`forget_peak`].
pub fn peak() -> u64 {
    number("/proc/self/status", "VmHWM:") << 10
}

/// Starts a new peak.
pub fn forget_peak() {
    // If this is refused, the peak is that of the process's whole life.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn number(file: &str, key: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
