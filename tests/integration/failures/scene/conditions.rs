//! Brings a Redis into a condition.

use std::{
    fs,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use redis::{Connection, RedisResult};

use super::{Scene, load_script, tell};
use crate::{
    failures::caller::Asks,
    harness::{canary, eventually, ports::free_port, redis::Redis},
};

/// A key that was written before.
pub fn written(redis: &Redis, key: &str) {
    tell(redis, &["HSET", key, "data", "0", "version", "5"]);
}

pub fn with_a_replica() -> Scene {
    let master = Redis::start();
    load_script(&master);
    let replica = Redis::replica_of(&master);
    eventually("the replica is in step", || {
        master.query::<String>(&["INFO", "replication"]).contains("state=online")
    });
    let strong = Asks { strong: true, ..Asks::default() };
    Scene::on_redis(vec![master, replica]).asks(strong)
}

pub fn is_loading(redis: &Redis) -> Option<bool> {
    let info: String = redis.query(&["INFO", "persistence"]);
    info.lines().find_map(|line| line.strip_prefix("loading:")).map(|flag| flag != "0")
}

/// Has a server read its data again, which takes it long, and answers meanwhile that it does.
pub fn load_slowly(redis: &Redis) {
    tell(redis, &["DEBUG", "POPULATE", "10000", "filling", "100"]);
    tell(redis, &["CONFIG", "SET", "loading-process-events-interval-bytes", "1024"]);
    tell(redis, &["CONFIG", "SET", "key-load-delay", "3000"]);
    start(redis, &["DEBUG", "RELOAD"]);
    eventually("the server loads", || is_loading(redis) == Some(true));
}

/// Sends a command for whose answer nobody waits.
fn start(redis: &Redis, words: &[&str]) {
    let mut connection = connection(redis);
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    thread::spawn(move || drop(command.exec(&mut connection)));
}

/// A connection that stays.
pub fn connection(redis: &Redis) -> Connection {
    try_connection(redis, Duration::from_secs(5)).expect("a connection")
}

fn try_connection(redis: &Redis, patience: Duration) -> RedisResult<Connection> {
    let url = format!("redis://:{}@127.0.0.1:{}/", canary::PASSWORD, redis.port);
    redis::Client::open(url)?.get_connection_with_timeout(patience)
}

pub fn is_busy(redis: &Redis) -> bool {
    let connection = try_connection(redis, Duration::from_secs(5));
    let answer = connection.and_then(|mut redis| redis::cmd("PING").query::<String>(&mut redis));
    answer.is_err_and(|error| error.to_string().to_lowercase().contains("busy"))
}

/// Has a server run a script for ever.
pub fn keep_busy(redis: &Redis) {
    if !is_busy(redis) {
        start(redis, &["EVAL", "while true do end", "0"]);
    }
    eventually("the script runs", || is_busy(redis));
}

/// Has the server fail to save, for its folder is gone.
pub fn fail_to_save(redis: &Redis) {
    let failed = || {
        let info: String = redis.query(&["INFO", "persistence"]);
        info.contains("rdb_last_bgsave_status:err")
    };
    if failed() {
        return;
    }
    let (_, folder): (String, String) = redis.query(&["CONFIG", "GET", "dir"]);
    fs::remove_dir_all(folder).expect("the server's folder");
    tell(redis, &["CONFIG", "SET", "save", "3600 1"]);
    tell(redis, &["BGSAVE"]);
    eventually("the server cannot save", failed);
}

pub fn cluster_node() -> Redis {
    let bus = free_port().to_string();
    Redis::start_with(&["--cluster-enabled", "yes", "--cluster-port", &bus])
}

/// Two servers of a cluster; every key is the second one's.
pub fn cluster_of_two() -> (Redis, Redis) {
    let (other, owner) = (cluster_node(), cluster_node());
    tell(&owner, &["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let bus: Vec<String> = owner.query(&["CONFIG", "GET", "cluster-port"]);
    tell(&other, &["CLUSTER", "MEET", "127.0.0.1", &owner.port.to_string(), &bus[1]]);
    eventually("the cluster is whole", || {
        [&other, &owner].iter().all(|node| {
            let info: String = node.query(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:2")
        })
    });
    (other, owner)
}

/// A server with a type of the name that RedisJSON's has.
pub fn use_document_module() -> Redis {
    let folder = tempfile::tempdir().expect("a folder");
    let library = folder.path().join("document.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stores/document_module.c");
    let mut compiler = Command::new("gcc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
    assert!(compiler.status().expect("gcc").success(), "{source} is not compiled");
    Redis::start_with(&["--loadmodule", library.to_str().expect("UTF-8")])
}

/// A client of a server: its number, its user, and the command it sent last.
struct Peer {
    id: u64,
    user: String,
    command: String,
    is_blocked: bool,
}

/// Who is connected, but for who asks.
fn clients(list: &str) -> Vec<Peer> {
    let client = |line: &str| {
        let word = |name: &str| {
            let words = line.split(' ').filter_map(|word| word.split_once('='));
            words.clone().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
        };
        Peer {
            id: word("id").parse().expect("a number"),
            user: word("user").to_owned(),
            command: word("cmd").to_owned(),
            is_blocked: word("flags").contains('b'),
        }
    };
    let all = list.lines().filter(|line| !line.is_empty()).map(client);
    all.filter(|client| client.command != "client|list").collect()
}

/// Has the stores of a row connect anew: what a server says to a young connection is no reason to replace it.
pub fn renew_connections(redis: &Redis) {
    let list = || clients(&redis.query::<String>(&["CLIENT", "LIST", "TYPE", "normal"]));
    let last = list().iter().map(|client| client.id).max().unwrap_or_default();
    tell(redis, &["CLIENT", "KILL", "TYPE", "normal"]);
    eventually("all are there again", || {
        let after = list();
        after.len() >= 3 && after.iter().all(|client| client.id > last && client.command == "ping")
    });
}

/// The most clients there were.
pub struct Most(Arc<AtomicUsize>);

impl Most {
    pub fn load(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// How many connections of a user are made.
pub fn count_clients(redis: &Redis, user: &str) -> usize {
    let list: String = redis.query(&["CLIENT", "LIST", "TYPE", "normal"]);
    count_made(&clients(&list), user)
}

fn count_made(clients: &[Peer], user: &str) -> usize {
    let is_made = |client: &&Peer| {
        let under_way = ["hello", "auth", "select", "client|setname", "client|setinfo", "NULL"];
        client.user == user && !under_way.contains(&client.command.as_str())
    };
    clients.iter().filter(is_made).count()
}

/// From now on ends the connection of whoever waits for a replica; says how many the user `app` had.
pub fn end_waiting(redis: &Redis) -> Most {
    let (mut asking, most) = (connection(redis), Arc::new(AtomicUsize::new(0)));
    let noted = most.clone();
    thread::spawn(move || {
        // Until the server ends.
        loop {
            let mut list = redis::cmd("CLIENT");
            list.arg(&["LIST", "TYPE", "normal"]);
            let Ok(list) = list.query::<String>(&mut asking) else { return };
            let clients = clients(&list);
            noted.fetch_max(count_made(&clients, "app"), Ordering::SeqCst);
            for waits in clients.iter().filter(|client| client.is_blocked) {
                let mut end = redis::cmd("CLIENT");
                end.arg(&["KILL", "ID"]).arg(waits.id);
                // It may be gone already.
                let _ = end.query::<u64>(&mut asking);
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
    Most(most)
}
