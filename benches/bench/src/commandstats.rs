//! What Redis says it did: `INFO commandstats`.

use std::collections::BTreeMap;

/// Calls by command, in small letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandStats(BTreeMap<String, u64>);

/// Commands that no item of a save asks for: scripts as a whole, and the keeping of a connection.
const NOT_INSIDE: &[&str] = &[
    "acl", "auth", "client", "command", "config", "eval", "evalsha", "fcall", "function", "hello",
    "info", "memory", "ping", "script", "select",
];

impl CommandStats {
    /// Reads the answer to `INFO commandstats`.
    pub fn parse(info: &str) -> Self {
        let lines = info.lines().filter_map(|line| line.trim().strip_prefix("cmdstat_"));
        let entries = lines.filter_map(|line| {
            let (command, figures) = line.split_once(':')?;
            let calls = figures.split(',').find_map(|figure| figure.strip_prefix("calls="))?;
            Some((command.to_ascii_lowercase(), calls.parse().ok()?))
        });
        Self(entries.collect())
    }

    /// What was called since an earlier answer.
    pub fn since(&self, earlier: &Self) -> Self {
        let calls = self.0.iter().map(|(command, calls)| {
            let before = earlier.0.get(command).copied().unwrap_or(0);
            (command.clone(), calls.saturating_sub(before))
        });
        Self(calls.filter(|(_, calls)| *calls > 0).collect())
    }

    /// Calls of scripts, by digest or with their text.
    pub fn scripts(&self) -> u64 {
        ["evalsha", "eval", "fcall"].iter().filter_map(|name| self.0.get(*name)).sum()
    }

    /// Commands that ran on keys: in a window with saves only, those inside the scripts.
    pub fn on_keys(&self) -> u64 {
        let keeps = |name: &str| NOT_INSIDE.contains(&name.split('|').next().unwrap_or(name));
        self.0.iter().filter(|(name, _)| !keeps(name)).map(|(_, calls)| calls).sum()
    }

    /// The commands with their calls, for a person.
    pub fn text(&self) -> String {
        let words: Vec<_> = self.0.iter().map(|(name, calls)| format!("{name} {calls}")).collect();
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "# Commandstats\r\n\
        cmdstat_hset:calls=10,usec=20,usec_per_call=2.00,rejected_calls=0,failed_calls=0\r\n\
        cmdstat_evalsha:calls=2,usec=9,usec_per_call=4.50,rejected_calls=0,failed_calls=0\r\n";
    const AFTER: &str = "# Commandstats\r\n\
        cmdstat_hset:calls=110,usec=20,usec_per_call=2.00,rejected_calls=0,failed_calls=0\r\n\
        cmdstat_hincrby:calls=100,usec=20,usec_per_call=2.00,rejected_calls=0,failed_calls=0\r\n\
        cmdstat_script|load:calls=1,usec=20,usec_per_call=2.00,rejected_calls=0,failed_calls=0\r\n\
        cmdstat_info:calls=3,usec=20,usec_per_call=2.00,rejected_calls=0,failed_calls=0\r\n\
        cmdstat_evalsha:calls=5,usec=9,usec_per_call=4.50,rejected_calls=0,failed_calls=0\r\n";

    #[test]
    fn what_happened_between_two_answers_is_counted() {
        let did = CommandStats::parse(AFTER).since(&CommandStats::parse(BEFORE));
        assert_eq!(did.scripts(), 3);
        assert_eq!(did.on_keys(), 200, "neither the script nor the keeping of the connection");
        assert_eq!(did.text(), "evalsha 3, hincrby 100, hset 100, info 3, script|load 1");
    }

    #[test]
    fn nothing_is_made_of_other_lines() {
        let stats =
            CommandStats::parse("# Server\r\nredis_version:7.0.15\r\ncmdstat_x:calls=a\r\n");
        assert_eq!(stats, CommandStats::default());
        assert_eq!((stats.scripts(), stats.on_keys()), (0, 0));
    }
}
