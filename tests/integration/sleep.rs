//! How the thread that serves calls sleeps while there are none.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::harness::{
    canary::key,
    redis::Redis,
    sidecar::{Setup, Sidecar},
};

/// The thread that serves calls.
fn serving(sidecar: &Sidecar) -> PathBuf {
    let tasks = fs::read_dir(format!("/proc/{}/task", sidecar.process.pid())).expect("its threads");
    let mut paths = tasks.map(|task| task.expect("a thread").path());
    let named = |path: &PathBuf| {
        fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "data-plane-0")
    };
    paths.find(named).expect("the thread that serves calls")
}

/// The timeout of the wait for events that the thread is in; `None` while it is in no system call.
fn timeout(thread: &Path) -> Option<i32> {
    // The call's number, and its arguments: the timeout is the fourth of epoll_wait and epoll_pwait.
    let call = fs::read_to_string(thread.join("syscall")).expect("what the thread does");
    let argument = call.split_whitespace().nth(4)?;
    let bits = u64::from_str_radix(argument.trim_start_matches("0x"), 16).expect("a number");
    Some(bits as u32 as i32)
}

#[test]
fn it_sleeps_until_it_is_woken() {
    let redis = Redis::start();
    let sidecar = Setup::default().redis(&redis).start();
    sidecar.wait_until_connected();
    let client = sidecar.client();
    let thread = serving(&sidecar);
    for n in 0..50 {
        client.save(&key("k"), n.to_string()).expect("it is saved");
        client.get(&key("k")).expect("it is read");
    }
    // All connections stay open meanwhile. The timer of a call, if it set one, would last longer.
    let slept = (0..200).any(|_| {
        thread::sleep(Duration::from_millis(5));
        timeout(&thread) == Some(-1)
    });
    assert!(slept, "it sleeps with a timeout of {:?} ms", timeout(&thread));
    client.get(&key("k")).expect("it is read");
    sidecar.finish();
}
