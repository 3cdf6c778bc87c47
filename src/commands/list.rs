//! Showing the sidecars of this machine, as `dapr list` does.

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use super::{
    ExitCode, SUCCESS, print,
    processes::{self, SidecarProcess},
};
use crate::cli::ListFormat;

/// How much of a command the table shows.
const COMMAND_WIDTH: usize = 20;

const HEADINGS: [&str; 13] = [
    "APP ID",
    "HTTP PORT",
    "GRPC PORT",
    "APP PORT",
    "COMMAND",
    "AGE",
    "CREATED",
    "DAPRD PID",
    "CLI PID",
    "APP PID",
    "RUN_TEMPLATE_PATH",
    "APP_LOG_PATH",
    "DAPRD_LOG_PATH",
];

/// Shows them.
pub(super) fn list(format: ListFormat) -> ExitCode {
    let now = Timestamp::now();
    let rows: Vec<Row> =
        processes::sidecars().into_iter().map(|sidecar| Row::new(sidecar, now)).collect();
    match format {
        ListFormat::Json => {
            let text = serde_json::to_string_pretty(&rows);
            print(&text.expect("invariant: rows have texts and numbers only"));
            print("\n");
        }
        ListFormat::Table if rows.is_empty() => print("No Dapr instances found.\n"),
        ListFormat::Table => print(&table(&rows)),
    }
    SUCCESS
}

/// What is shown of a sidecar, under the names of Dapr's CLI.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    app_id: String,
    http_port: u16,
    grpc_port: u16,
    app_port: u16,
    metrics_enabled: bool,
    command: String,
    age: String,
    created: String,
    daprd_pid: i32,
    cli_pid: i32,
    app_pid: i32,
    max_request_body_size: usize,
    http_read_buffer_size: usize,
    run_template_path: String,
    app_log_path: String,
    daprd_log_path: String,
    run_template_name: String,
}

impl Row {
    fn new(sidecar: SidecarProcess, now: Timestamp) -> Self {
        let told = |key: &str| sidecar.extended.get(key).cloned().unwrap_or_default();
        let process = |key: &str| told(key).parse().unwrap_or(0);
        // The CLI's own way of writing it, with a full stop before the seconds.
        let created = sidecar.started.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M.%S");
        Self {
            command: told("appCommand"),
            age: age(now.duration_since(sidecar.started).as_secs()),
            created: created.to_string(),
            daprd_pid: sidecar.pid,
            cli_pid: process("cliPID"),
            app_pid: process("appPID"),
            run_template_path: told("runTemplatePath"),
            app_log_path: told("appLogPath"),
            daprd_log_path: told("daprdLogPath"),
            run_template_name: told("runTemplateName"),
            http_port: sidecar.http_port,
            grpc_port: sidecar.grpc_port,
            app_port: sidecar.app_port,
            metrics_enabled: sidecar.metrics_enabled,
            max_request_body_size: sidecar.max_body_size,
            http_read_buffer_size: sidecar.read_buffer_size,
            app_id: sidecar.app_id,
        }
    }

    fn cells(&self) -> [String; HEADINGS.len()] {
        [
            printable(&self.app_id),
            self.http_port.to_string(),
            self.grpc_port.to_string(),
            self.app_port.to_string(),
            shortened(&printable(&self.command)),
            self.age.clone(),
            self.created.clone(),
            self.daprd_pid.to_string(),
            self.cli_pid.to_string(),
            self.app_pid.to_string(),
            printable(&self.run_template_path),
            printable(&self.app_log_path),
            printable(&self.daprd_log_path),
        ]
    }
}

/// Whoever can call a sidecar may have it say anything; a terminal is not told to do it.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= COMMAND_WIDTH {
        return text.to_owned();
    }
    text.chars().take(COMMAND_WIDTH - 3).chain("...".chars()).collect()
}

fn age(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ ..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..86_400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

fn table(rows: &[Row]) -> String {
    let headings = HEADINGS.map(str::to_owned);
    let lines: Vec<_> = std::iter::once(headings).chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        for (seconds, text) in
            [(-3, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (7200, "2h"), (200_000, "2d")]
        {
            assert_eq!(age(seconds), text);
        }
    }

    #[test]
    fn a_command_is_cut_and_tells_a_terminal_nothing() {
        assert_eq!(shortened("python3 app.py"), "python3 app.py");
        assert_eq!(shortened("python3 some/where/app.py"), "python3 some/wher...");
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a [2Jb ");
    }
}
