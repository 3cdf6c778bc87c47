use std::{
    ffi::OsString,
    io::{self, Write},
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use nix::sys::signal::Signal;
use proptest::prelude::{any, proptest};
use tokio::time::Instant;

use super::{AppProcess, LONGEST_LINE, PREFIX, Prefixer};
use crate::log::{Level, LogGuard, LogOptions, Output, start};

/// What the log's thread wrote.
#[derive(Clone, Default)]
struct Written(Arc<(Mutex<Vec<u8>>, Condvar)>);

impl Written {
    /// A log that writes here.
    fn log(&self) -> LogGuard {
        start(LogOptions {
            level: Level::Info,
            json: false,
            terminal: false,
            app_id: None,
            version: "1.18.3",
            output: Output::Other(Box::new(self.clone())),
        })
        .unwrap()
    }

    fn wait_for(&self, text: &str) {
        let bytes = self.0.0.lock().unwrap();
        let limit = Duration::from_secs(10);
        let (bytes, waited) = self
            .0
            .1
            .wait_timeout_while(bytes, limit, |bytes| {
                !String::from_utf8_lossy(bytes).contains(text)
            })
            .unwrap();
        assert!(!waited.timed_out(), "{}", String::from_utf8_lossy(&bytes));
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.0.lock().unwrap().clone()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.0.lock().unwrap().extend_from_slice(bytes);
        self.0.1.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn shell(script: &str, environment: &[(String, String)], log: &LogGuard) -> AppProcess {
    let arguments = [OsString::from("-c"), OsString::from(script)];
    AppProcess::spawn(&OsString::from("sh"), &arguments, environment, &log.lines()).unwrap()
}

#[tokio::test]
async fn both_outputs_come_out_with_the_prefix_and_bytes_stay_bytes() {
    let written = Written::default();
    let log = written.log();
    let script = "printf 'out \\377\\n\\n'; printf 'err without end' >&2; exit 3";
    let mut app = shell(script, &[], &log);
    assert_eq!(app.wait().await, 3);
    drop(log);
    let mut lines: Vec<Vec<u8>> =
        written.bytes().split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
    lines.sort();
    let expected: [&[u8]; 3] =
        [b"== APP == \n", b"== APP == err without end\n", b"== APP == out \xff\n"];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn it_gets_the_variables_beside_those_we_have() {
    let written = Written::default();
    let log = written.log();
    let mut app =
        shell("echo $APP_ID $PATH", &[("APP_ID".to_owned(), "order-processor".to_owned())], &log);
    assert_eq!(app.wait().await, 0);
    drop(log);
    let path = std::env::var("PATH").unwrap();
    let line = format!("== APP == order-processor {path}\n");
    assert_eq!(String::from_utf8(written.bytes()).unwrap(), line);
}

#[tokio::test]
async fn a_signal_reaches_its_children_and_its_end_is_told_as_shells_do() {
    let written = Written::default();
    let log = written.log();
    // The parent's trap stands before the child can say that it is ready. What the child's shell
    // says on stderr about its ended sleep could come at any time.
    let script = "trap 'wait; echo parent; exit 9' TERM; \
                  sh -c 'trap \"echo child; exit\" TERM; echo ready; while :; do sleep 0.05; done' \
                  2> /dev/null & wait; sleep 60";
    let mut app = shell(script, &[], &log);
    written.wait_for("== APP == ready\n");
    assert_eq!(app.stop(Signal::SIGTERM).await, 9);
    drop(log);
    let text = String::from_utf8(written.bytes()).unwrap();
    assert!(text.contains("== APP == child\n") && text.ends_with("== APP == parent\n"), "{text}");

    let written = Written::default();
    let log = written.log();
    let mut app = shell("echo up; exec sleep 60", &[], &log);
    written.wait_for("== APP == up\n");
    assert_eq!(app.stop(Signal::SIGTERM).await, 128 + 15);
}

#[tokio::test]
async fn an_app_that_ignores_the_signal_is_killed_after_five_seconds() {
    let written = Written::default();
    let log = written.log();
    let mut app = shell("trap '' TERM; echo deaf; while :; do sleep 0.05; done", &[], &log);
    written.wait_for("== APP == deaf\n");
    let begin = Instant::now();
    assert_eq!(app.stop(Signal::SIGTERM).await, 128 + 9);
    assert!((5..10).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_grandchild_that_keeps_the_output_open_holds_up_nothing() {
    let written = Written::default();
    let log = written.log();
    let mut app = shell("sleep 30 & echo bye", &[], &log);
    let begin = Instant::now();
    let group = app.group;
    assert_eq!(app.wait().await, 0);
    assert!(begin.elapsed() < Duration::from_secs(10));
    drop(log);
    assert_eq!(written.bytes(), b"== APP == bye\n");
    nix::sys::signal::killpg(group.unwrap(), Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_dropped_app_does_not_stay_behind() {
    let written = Written::default();
    let log = written.log();
    let app = shell("echo up; exec sleep 60", &[], &log);
    written.wait_for("== APP == up\n");
    let pid = app.group.unwrap();
    drop(app);
    let end = Instant::now() + Duration::from_secs(10);
    // It is reaped by tokio some time after it died.
    while nix::sys::signal::kill(pid, None).is_ok() && !is_zombie(pid) {
        assert!(Instant::now() < end, "it is still there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn is_zombie(pid: nix::unistd::Pid) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_or(true, |stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_named() {
    let written = Written::default();
    let log = written.log();
    let refused =
        AppProcess::spawn(&OsString::from("/nowhere/app"), &[], &[], &log.lines()).err().unwrap();
    assert_eq!(
        refused.to_string(),
        "failed to start the app /nowhere/app: No such file or directory (os error 2)"
    );
}

fn prefixed(prefix: &[u8], pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut prefixer = Prefixer::new(prefix);
    for piece in pieces {
        prefixer.feed(piece, |line| lines.push(line.to_vec()));
    }
    prefixer.finish(|line| lines.push(line.to_vec()));
    lines
}

#[test]
fn a_very_long_line_is_broken_and_nothing_of_it_is_lost() {
    let room = LONGEST_LINE - PREFIX.len();
    for length in [room - 1, room, room + 1, 2 * room, 2 * room + 1] {
        let mut text = vec![b'x'; length];
        text.push(b'\n');
        let lines = prefixed(PREFIX, &[&text, b"next\n"]);
        assert!(lines.iter().all(|line| line.starts_with(PREFIX) && line.ends_with(b"\n")));
        assert!(lines.iter().all(|line| line.len() <= LONGEST_LINE + 1));
        let sum: usize = lines.iter().map(|line| line.len() - PREFIX.len() - 1).sum();
        assert_eq!((sum, lines.len()), (length + 4, length.div_ceil(room) + 1));
    }
}

proptest! {
    #[test]
    fn however_bytes_arrive_each_line_gets_one_prefix(
        pieces in proptest::collection::vec(
            proptest::collection::vec(proptest::prop_oneof![proptest::prelude::Just(b'\n'), any::<u8>()], 0..20),
            0..10,
        ),
    ) {
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let whole = pieces.concat();
        for prefix in [PREFIX, b""] {
            let mut expected: Vec<Vec<u8>> = whole
                .split_inclusive(|&byte| byte == b'\n')
                .map(|line| [prefix, line].concat())
                .collect();
            if let Some(last) = expected.last_mut() && !last.ends_with(b"\n") {
                last.push(b'\n');
            }
            proptest::prop_assert_eq!(prefixed(prefix, &pieces), expected);
        }
    }
}
