use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use tracing_subscriber::{Registry, layer::SubscriberExt as _};

use super::{Level, LogGuard, LogOptions, Output, open};

/// What an output does with what it is given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Takes,
    Blocks,
    Fails,
    /// Takes this many bytes, then fails.
    TakesThenFails(usize),
    SaysWouldBlock,
}

struct Seen {
    mood: Mood,
    bytes: Vec<u8>,
    tries: usize,
}

#[derive(Clone)]
struct Pipe(Arc<(Mutex<Seen>, Condvar)>);

impl Pipe {
    fn new(mood: Mood) -> Self {
        Self(Arc::new((Mutex::new(Seen { mood, bytes: Vec::new(), tries: 0 }), Condvar::new())))
    }

    fn set(&self, mood: Mood) {
        self.0.0.lock().unwrap().mood = mood;
        self.0.1.notify_all();
    }

    fn wait_until(&self, wanted: impl Fn(&Seen) -> bool) -> String {
        let seen = self.0.0.lock().unwrap();
        let (seen, waited) = self
            .0
            .1
            .wait_timeout_while(seen, Duration::from_secs(10), |seen| !wanted(seen))
            .unwrap();
        let text = String::from_utf8_lossy(&seen.bytes).into_owned();
        assert!(!waited.timed_out(), "not within ten seconds; {} bytes: {:.300}", text.len(), text);
        text
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut seen = self.0.0.lock().unwrap();
        seen.tries += 1;
        self.0.1.notify_all();
        seen = self.0.1.wait_while(seen, |seen| seen.mood == Mood::Blocks).unwrap();
        match seen.mood {
            Mood::Takes => {
                seen.bytes.extend_from_slice(bytes);
                self.0.1.notify_all();
                Ok(bytes.len())
            }
            Mood::TakesThenFails(count) => {
                seen.bytes.extend_from_slice(&bytes[..count]);
                seen.mood = Mood::Fails;
                Ok(count)
            }
            Mood::SaysWouldBlock => Err(io::ErrorKind::WouldBlock.into()),
            Mood::Fails | Mood::Blocks => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logging(level: Level, pipe: &Pipe, act: impl FnOnce(&LogGuard)) -> LogGuard {
    let (layer, guard) = open(LogOptions {
        level,
        json: false,
        terminal: false,
        app_id: Some("a".to_owned()),
        version: "1.18.3",
        output: Output::Other(Box::new(pipe.clone())),
    })
    .unwrap();
    tracing::subscriber::with_default(Registry::default().with(layer), || act(&guard));
    guard
}

#[test]
fn events_become_lines_with_their_scope_and_fields() {
    let pipe = Pipe::new(Mood::Takes);
    drop(logging(Level::Info, &pipe, |_| {
        tracing::info!(target: "dapr.contrib", component = "s (state.redis/v1)", count = 3, "is {}", "up");
        tracing::error!(target: "dapr.signals", fatal = true, "over");
    }));
    let text = pipe.wait_until(|_| true);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains(
        "level=info msg=\"is up\" app_id=a component=\"s (state.redis/v1)\" count=3 instance="
    ));
    assert!(lines[0].contains(" scope=dapr.contrib type=log ver=1.18.3"));
    assert!(lines[1].contains("level=fatal msg=over app_id=a instance="));
    assert_eq!(lines.len(), 2);
}

#[test]
fn only_our_scopes_at_the_wanted_level_are_logged() {
    let say = |_: &LogGuard| {
        tracing::debug!(target: "dapr.runtime", "our debug");
        tracing::info!(target: "outrigger", "our info");
        tracing::warn!(target: "dapr.runtime", "our warning");
        tracing::error!(target: "dapr.runtime", "our error");
        tracing::error!(target: "dapr.runtime", fatal = true, "our end");
        tracing::error!(target: "h2::codec", "foreign error");
    };
    let all = ["our debug", "our info", "our warning", "our error", "our end"];
    for (index, level) in
        [Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Fatal].into_iter().enumerate()
    {
        let pipe = Pipe::new(Mood::Takes);
        drop(logging(level, &pipe, say));
        let text = pipe.wait_until(|_| true);
        assert!(all[index..].iter().all(|line| text.contains(line)), "{level:?}: {text}");
        assert_eq!(text.lines().count(), all.len() - index, "{level:?}: {text}");
    }
}

#[test]
fn lines_about_calls_come_at_every_level() {
    let pipe = Pipe::new(Mood::Takes);
    drop(logging(Level::Fatal, &pipe, |_| {
        tracing::info!(target: "dapr.runtime.http-info", code = 204, none = None::<&str>, "HTTP");
        tracing::info!(target: "dapr.runtime.grpc.api-info", code = 0, "gRPC");
        tracing::debug!(target: "dapr.runtime.http-info", "details");
        tracing::info!(target: "dapr.runtime.http", "other");
    }));
    let text = pipe.wait_until(|_| true);
    let messages: Vec<_> =
        text.lines().filter_map(|line| line.split("msg=").nth(1)?.split(' ').next()).collect();
    assert_eq!(messages, ["HTTP", "gRPC"]);
    assert!(text.contains("level=info msg=HTTP app_id=a code=204 instance="), "{text}");
}

#[test]
fn a_blocked_output_stalls_nobody_and_the_loss_is_told() {
    let pipe = Pipe::new(Mood::Blocks);
    let guard = logging(Level::Info, &pipe, |_| {
        tracing::info!(target: "dapr.runtime", "first");
        pipe.wait_until(|seen| seen.tries == 1);
        for _ in 0..30_000 {
            tracing::info!(target: "dapr.runtime", "{}", "x".repeat(50));
        }
    });
    pipe.set(Mood::Takes);
    let text = pipe
        .wait_until(|seen| seen.bytes.ends_with(b"ver=1.18.3\n") && contains(seen, "were lost"));
    let lost: usize = text
        .lines()
        .find(|line| line.contains("were lost"))
        .and_then(|line| line.split("msg=\"").nth(1)?.split(' ').next()?.parse().ok())
        .unwrap();
    assert_eq!(text.lines().filter(|line| line.contains("xxx")).count() + lost, 30_000);
    assert!(text.len() < (1 << 20) + 4096, "more than the bound waited");
    drop(guard);
}

fn contains(seen: &Seen, text: &str) -> bool {
    String::from_utf8_lossy(&seen.bytes).contains(text)
}

#[test]
fn the_end_waits_for_a_blocked_output_only_a_second() {
    let pipe = Pipe::new(Mood::Blocks);
    let guard = logging(Level::Info, &pipe, |_| tracing::info!(target: "dapr.runtime", "held"));
    let begin = tokio::time::Instant::now();
    drop(guard);
    assert!(
        begin.elapsed() >= Duration::from_millis(900) && begin.elapsed() < Duration::from_secs(5)
    );
    pipe.set(Mood::Takes);
}

#[test]
fn the_end_writes_everything_that_waits() {
    let pipe = Pipe::new(Mood::Blocks);
    let guard = logging(Level::Info, &pipe, |_| {
        for n in 0..1000 {
            tracing::info!(target: "dapr.runtime", "line {n}");
        }
    });
    let opener = thread::spawn({
        let pipe = pipe.clone();
        move || {
            pipe.wait_until(|seen| seen.tries >= 1);
            pipe.set(Mood::Takes);
        }
    });
    drop(guard);
    assert_eq!(pipe.wait_until(|_| true).lines().count(), 1000);
    opener.join().unwrap();
}

#[test]
fn a_closed_output_kills_nothing_and_lines_come_out_whole_afterwards() {
    let pipe = Pipe::new(Mood::TakesThenFails(10));
    let guard = logging(Level::Info, &pipe, |_| {
        tracing::info!(target: "dapr.runtime", "cut");
        pipe.wait_until(|seen| seen.tries >= 2);
        tracing::info!(target: "dapr.runtime", "gone");
        pipe.wait_until(|seen| seen.tries >= 3);
        pipe.set(Mood::Takes);
        tracing::info!(target: "dapr.runtime", "back");
    });
    drop(guard);
    let text = pipe.wait_until(|_| true);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0].len(), 10);
    assert!(lines[1].contains("msg=back"), "{text}");
    assert!(lines[2].contains("msg=\"2 log lines were lost"), "{text}");
}

#[test]
fn an_output_that_would_block_is_tried_again() {
    let pipe = Pipe::new(Mood::SaysWouldBlock);
    let guard = logging(Level::Info, &pipe, |_| {
        tracing::info!(target: "dapr.runtime", "patience");
        pipe.wait_until(|seen| seen.tries >= 2);
        pipe.set(Mood::Takes);
    });
    drop(guard);
    assert!(pipe.wait_until(|_| true).contains("msg=patience"));
}

#[test]
fn patient_lines_wait_for_room_and_none_is_lost() {
    let pipe = Pipe::new(Mood::Blocks);
    let guard = logging(Level::Info, &pipe, |_| {});
    let lines = guard.lines();
    let app = thread::spawn(move || {
        let line = [b"y".repeat(9_999), b"\n".to_vec()].concat();
        for _ in 0..200 {
            lines.push_patiently(&line);
        }
    });
    pipe.wait_until(|seen| seen.tries == 1);
    pipe.set(Mood::Takes);
    app.join().unwrap();
    drop(guard);
    assert_eq!(pipe.wait_until(|_| true), format!("{}\n", "y".repeat(9_999)).repeat(200));
}

#[test]
fn a_log_file_is_appended_to_and_a_bad_one_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("daprd.log");
    std::fs::write(&path, "before\n").unwrap();
    let options = |path| LogOptions {
        level: Level::Info,
        json: false,
        terminal: false,
        app_id: None,
        version: "1.18.3",
        output: Output::File(path),
    };
    let (layer, guard) = open(options(path.clone())).unwrap();
    tracing::subscriber::with_default(Registry::default().with(layer), || {
        tracing::info!(target: "dapr.runtime", "after");
    });
    drop(guard);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("before\ntime=") && text.contains("msg=after"));
    let error = open(options(folder.path().join("no/such"))).err().unwrap().to_string();
    assert!(error.starts_with("failed to open log file /") && error.contains("no/such: "));
}
