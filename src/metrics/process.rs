//! What the system says about this process; nothing where it says nothing.

use std::fs;

use super::{
    families::{self, Family},
    text::Scrape,
};

/// Linux counts processor time in hundredths of a second wherever programs look at it.
const TICKS: f64 = 100.0;

/// Puts what is known about the process into a scrape.
pub fn collect(scrape: &mut Scrape) {
    let mut put = |family: &'static Family, number: Option<f64>| {
        if let Some(number) = number {
            scrape.number(family, [], number);
        }
    };
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let status = read("/proc/self/status");
    put(&families::PROCESS_RESIDENT, kibibytes(&status, "VmRSS:"));
    put(&families::PROCESS_VIRTUAL, kibibytes(&status, "VmSize:"));
    let stat = read("/proc/self/stat");
    put(&families::PROCESS_CPU, processor_seconds(&stat));
    put(&families::PROCESS_START, start_seconds(&stat, &read("/proc/stat")));
    put(&families::PROCESS_MAX_FDS, open_files_limit(&read("/proc/self/limits")));
    // The listing itself is one of them.
    let files = fs::read_dir("/proc/self/fd").ok().map(|files| files.count().saturating_sub(1));
    put(&families::PROCESS_OPEN_FDS, files.map(|count| count as f64));
}

fn kibibytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let number: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(number * 1024.0)
}

/// A field of `/proc/self/stat`, by its number in the manual. The program's name stands before in
/// brackets and may hold anything.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_whitespace().nth(number - 3)?.parse().ok()
}

fn processor_seconds(stat: &str) -> Option<f64> {
    Some((field(stat, 14)? + field(stat, 15)?) / TICKS)
}

fn start_seconds(stat: &str, system: &str) -> Option<f64> {
    let boot = system.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(boot.trim().parse::<f64>().ok()? + field(stat, 22)? / TICKS)
}

fn open_files_limit(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_says_is_read() {
        let status = "Name:\tx\nVmSize:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(kibibytes(status, "VmRSS:"), Some(1_048_576.0));
        assert_eq!(kibibytes(status, "VmSwap:"), None);
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 3 0 12345 9 9";
        assert_eq!(processor_seconds(stat), Some(2.0));
        assert_eq!(start_seconds(stat, "cpu 1\nbtime 1000\n"), Some(1123.45));
        let limits = "Limit  Soft Limit Hard Limit Units\nMax open files  1024  524288  files\n";
        assert_eq!(open_files_limit(limits), Some(1024.0));
    }

    #[test]
    fn nothing_is_said_where_nothing_is_known() {
        assert_eq!(kibibytes("", "VmRSS:"), None);
        assert_eq!((processor_seconds(""), start_seconds("", "")), (None, None));
        assert_eq!(open_files_limit("Max open files  unlimited"), None);
    }
}
