//! Which processor runs what.

use std::fmt;

use anyhow::Context as _;
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

/// The processors this program may use, divided between what is measured and what measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores {
    allowed: Vec<usize>,
}

/// Whose processors are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A sidecar, a floor, or daprd.
    Server,
    /// The Redis behind it.
    Redis,
    /// The load generator, and this program with its proxies.
    Generator,
}

impl Cores {
    /// Those this process may use now.
    pub fn here() -> anyhow::Result<Self> {
        let set = sched_getaffinity(Pid::from_raw(0)).context("asking for the processors")?;
        let allowed = (0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false));
        Ok(Self { allowed: allowed.collect() })
    }

    /// The processors of a role: the server has the last one alone where there are two or more, and
    /// Redis the first one, which the generator shares unless there is a third.
    pub fn of(&self, role: Role) -> &[usize] {
        let count = self.allowed.len();
        match role {
            _ if count < 2 => &self.allowed,
            Role::Server => &self.allowed[count - 1..],
            Role::Redis => &self.allowed[..1],
            Role::Generator if count == 2 => &self.allowed[..1],
            Role::Generator => &self.allowed[1..count - 1],
        }
    }

    /// Starts something on a role's processors: a child has those of the thread that starts it.
    pub fn on<T>(&self, role: Role, start: impl FnOnce() -> T) -> anyhow::Result<T> {
        self.move_to(self.of(role))?;
        let started = start();
        self.move_to(self.of(Role::Generator))?;
        Ok(started)
    }

    fn move_to(&self, cores: &[usize]) -> anyhow::Result<()> {
        let mut set = CpuSet::new();
        for core in cores {
            set.set(*core)?;
        }
        sched_setaffinity(Pid::from_raw(0), &set).context("choosing the processors")
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |role| {
            let names: Vec<_> = self.of(role).iter().map(ToString::to_string).collect();
            names.join(",")
        };
        if self.allowed.len() < 2 {
            return write!(f, "one core for everything: nothing is pinned");
        }
        write!(
            f,
            "server on core {}, Redis on core {}, generator on core {}",
            of(Role::Server),
            of(Role::Redis),
            of(Role::Generator)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores(count: usize) -> Cores {
        Cores { allowed: (0..count).collect() }
    }

    #[test]
    fn the_server_shares_its_core_with_nobody() {
        for count in 2..9 {
            let cores = cores(count);
            let server = cores.of(Role::Server);
            assert_eq!(server, [count - 1]);
            assert!(!cores.of(Role::Redis).contains(&server[0]), "{count}");
            assert!(!cores.of(Role::Generator).contains(&server[0]), "{count}");
        }
        assert_eq!(cores(4).of(Role::Generator), [1, 2]);
        assert_eq!(cores(1).of(Role::Server), [0]);
    }

    #[test]
    fn it_is_said_who_runs_where() {
        let text = "server on core 1, Redis on core 0, generator on core 0";
        assert_eq!(cores(2).to_string(), text);
        assert_eq!(cores(1).to_string(), "one core for everything: nothing is pinned");
    }

    #[test]
    fn a_child_stays_on_the_processors_of_its_role() {
        let cores = Cores::here().expect("processors");
        let child = || std::process::Command::new("cat").arg("/proc/self/status").output();
        let output = cores.on(Role::Server, child).expect("pinned").expect("cat");
        let status = String::from_utf8_lossy(&output.stdout);
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let expected = cores.of(Role::Server).last().map(ToString::to_string);
        if cores.allowed.len() > 1 {
            assert_eq!(list.map(|list| list.trim().to_owned()), expected, "{status}");
        }
    }
}
