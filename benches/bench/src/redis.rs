//! The private Redis all subjects share, and questions to it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, bail};

use crate::{
    commandstats::CommandStats,
    pinning::{Cores, Role},
    process::{Program, free_port},
};

/// A redis-server that keeps nothing on disk.
#[derive(Debug)]
pub struct Redis {
    program: Program,
    address: SocketAddr,
}

impl Redis {
    /// Starts one on a free port; its files, if any, are in the folder.
    pub fn start(executable: &Path, cores: &Cores, folder: &Path) -> anyhow::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut command = Command::new(executable);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.args(["--port", &address.port().to_string()]).arg("--dir").arg(folder);
        let mut program = Program::start("redis", command, (cores, Role::Redis), folder)?;
        program.wait_for("an answer to PING", Duration::from_millis(5), |_| {
            ask(address, &["PING"]).ok()
        })?;
        Ok(Self { program, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.program.id()
    }

    /// What it did since it started.
    pub fn command_stats(&self) -> anyhow::Result<CommandStats> {
        Ok(CommandStats::parse(&ask(self.address, &["INFO", "commandstats"])?))
    }

    /// Its version.
    pub fn version(&self) -> anyhow::Result<String> {
        let info = ask(self.address, &["INFO", "server"])?;
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        version.map(str::to_owned).context("INFO server names no version")
    }

    /// How many keys there are.
    pub fn keys(&self) -> anyhow::Result<u64> {
        ask(self.address, &["DBSIZE"])?.parse().context("DBSIZE")
    }

    /// Forgets all keys.
    pub fn flush(&self) -> anyhow::Result<()> {
        ask(self.address, &["FLUSHALL", "SYNC"]).map(drop)
    }
}

/// Sends one command on a connection of its own; the answer is a status, a number or a text.
fn ask(address: SocketAddr, words: &[&str]) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(request.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let line = line.trim_end();
    match line.split_at_checked(1) {
        Some(("+" | ":", rest)) => Ok(rest.to_owned()),
        Some(("$", length)) => {
            let mut text = vec![0; length.parse().context("the length of an answer")?];
            reader.read_exact(&mut text)?;
            String::from_utf8(text).context("an answer that is no text")
        }
        _ => bail!("Redis answers {line:?} to {}", words.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::{Effect, Proxy};

    #[test]
    fn what_a_script_did_in_a_real_redis_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let cores = Cores::here().expect("processors");
        let redis = Redis::start(Path::new("redis-server"), &cores, folder.path());
        let redis = redis.expect("a redis-server");
        assert!(redis.version().expect("a version").contains('.'));

        // Through a proxy, as the sidecars are measured.
        let proxy = Proxy::start(redis.address(), Effect::Cap(10_000)).expect("a proxy");
        let before = redis.command_stats().expect("figures");
        let script = "for _, key in ipairs(KEYS) do redis.call('HSET', key, 'data', 1) \
            redis.call('HINCRBY', key, 'version', 1) end return #KEYS";
        let answer = ask(proxy.address(), &["EVAL", script, "2", "a", "b"]).expect("it runs");
        assert_eq!(answer, "2");
        assert_eq!(proxy.passed(), 2, "a script counts as many times as it has keys");
        let did = redis.command_stats().expect("figures").since(&before);
        assert_eq!((did.scripts(), did.on_keys()), (1, 4), "{}", did.text());

        assert_eq!(redis.keys().expect("a number"), 2);
        redis.flush().expect("it forgets");
        assert_eq!(redis.keys().expect("a number"), 0);
        let error = ask(redis.address(), &["HGET", "a"]).expect_err("an argument is missing");
        assert!(error.to_string().contains("wrong number of arguments"), "{error}");
    }
}
