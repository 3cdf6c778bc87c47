//! Where and when the figures were taken.

use std::{fs, process::Command};

use serde::Serialize;

/// What a reader has to know about the place.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many cores there are.
    pub cores: usize,
    /// Memory in GB.
    pub memory_gb: f64,
    /// The kernel's version.
    pub kernel: String,
    /// The version of Redis.
    pub redis: String,
    /// The commit that was built, with a mark if files were changed.
    pub commit: String,
    /// When it was measured.
    pub date: String,
}

impl Machine {
    /// Asks the system.
    pub fn here(redis: String) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let processor = field(&processors, "model name").unwrap_or_else(|| "unknown".to_owned());
        let cores = processors.lines().filter(|line| line.starts_with("processor")).count();
        let memory = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let kibibytes = memory.trim_end_matches("kB").trim().parse().unwrap_or(0.0);
        Self {
            processor,
            cores,
            memory_gb: kibibytes * 1024.0 / 1e9,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            redis,
            commit: commit().unwrap_or_else(|| "unknown".to_owned()),
            date: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
        }
    }

    /// One line about it.
    pub fn line(&self) -> String {
        format!(
            "{}, {} cores, {:.0} GB, Linux {}, Redis {}, commit {}, {}",
            self.processor,
            self.cores,
            self.memory_gb,
            self.kernel,
            self.redis,
            self.commit,
            self.date
        )
    }
}

/// The value of the first line `NAME: VALUE`.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn commit() -> Option<String> {
    let words = ["describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"];
    let output = Command::new("git").args(words).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_the_text_behind_its_colon() {
        let text = "processor\t: 0\nmodel name\t: Some CPU: fast\n";
        assert_eq!(field(text, "model name").as_deref(), Some("Some CPU: fast"));
        assert_eq!(field(text, "flags"), None);
    }

    #[test]
    fn the_machine_is_described_in_a_line() {
        let machine = Machine::here("7.0.15".to_owned());
        assert!(machine.cores >= 1 && machine.memory_gb > 0.1, "{machine:?}");
        assert!(machine.line().contains("Redis 7.0.15") && machine.line().ends_with("UTC"));
    }
}
