//! What each row is played on: a server in that condition, three stores on it, a call.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use socket2::{Domain, Socket, Type};

use super::{
    caller::Asks,
    scripted::{Does, Scripted},
};
use crate::harness::{
    canary, eventually,
    ports::free_port,
    redis::{Clients, Redis},
    sidecar::APP_ID,
};

/// The servers of a row.
pub enum Servers {
    /// The first is the one that the stores are on.
    Redis(Vec<Redis>),
    Scripted(Scripted),
    /// Kept open.
    Crowded {
        _server: Crowded,
    },
    /// Nobody.
    None,
}

/// A port whose queue of connections is full: whoever connects hears nothing.
pub struct Crowded {
    listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Crowded {
    fn start() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any_port.into()).expect("a free port");
        socket.listen(0).expect("it listens");
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().expect("a bound listener");
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
        let waiting = std::iter::from_fn(connect).take(64).collect();
        Self { listener, _waiting: waiting }
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().expect("a bound listener").port()
    }
}

/// What a row is played on.
pub struct Scene {
    pub servers: Servers,
    /// The component's settings.
    pub metadata: Vec<(&'static str, String)>,
    /// Whether the policy bounds an attempt.
    pub timeout: bool,
    /// Whether the stores are connected before the condition comes about.
    pub connects: bool,
    pub asks: Asks,
    /// Brings the condition about, before each call.
    pub breaks: fn(&[Redis], key: &str),
    /// Ends it, so that one can look at what is stored.
    pub repairs: fn(&Redis),
    /// Words of the message of every answer.
    pub says: &'static str,
}

impl Scene {
    fn on(servers: Servers, host: String) -> Self {
        Self {
            servers,
            metadata: vec![("redisHost", host)],
            timeout: false,
            connects: true,
            asks: Asks::default(),
            breaks: |_, _| {},
            repairs: |_| {},
            says: "",
        }
    }

    fn redis(args: &[&str]) -> Self {
        Self::on_redis(vec![Redis::start_with(args)])
    }

    fn on_redis(servers: Vec<Redis>) -> Self {
        let host = format!("127.0.0.1:{}", servers[0].port);
        Self::on(Servers::Redis(servers), host).with("redisPassword", canary::PASSWORD)
    }

    fn scripted(on_ping: Does, on_script: Does) -> Self {
        let server = Scripted::start(on_ping, on_script);
        let host = format!("127.0.0.1:{}", server.port);
        let connects = matches!(on_ping, Does::Says(_));
        Self { connects, ..Self::on(Servers::Scripted(server), host) }
    }

    /// A server that takes a script and never answers.
    fn silent() -> Self {
        Self::scripted(PONG, Does::Nothing)
    }

    /// A server that nobody gets through to, and that is waited for.
    fn crowded() -> Self {
        let server = Crowded::start();
        let host = format!("127.0.0.1:{}", server.port());
        Self::on(Servers::Crowded { _server: server }, host).patient().unconnected()
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.metadata.retain(|(known, _)| *known != name);
        self.metadata.push((name, value.to_owned()));
        self
    }

    fn says(self, says: &'static str) -> Self {
        Self { says, ..self }
    }

    fn breaks(self, breaks: fn(&[Redis], &str)) -> Self {
        Self { breaks, ..self }
    }

    fn repairs(self, repairs: fn(&Redis)) -> Self {
        Self { repairs, ..self }
    }

    fn asks(self, asks: Asks) -> Self {
        Self { asks, ..self }
    }

    fn unconnected(self) -> Self {
        Self { connects: false, ..self }
    }

    /// However loud the machine is, connecting does not end for want of time.
    fn patient(self) -> Self {
        self.with("dialTimeout", "60s")
    }

    fn without_read_timeout(self) -> Self {
        self.with("readTimeout", "-1").with("writeTimeout", "-1")
    }
}

const PONG: Does = Does::Says("+PONG");
/// What the write script answers of one write that it carried out.
const DONE_LATE: Does = Does::SaysLate("*1\r\n:1");

fn tell(redis: &Redis, words: &[&str]) {
    redis.query::<redis::Value>(words);
}

/// A key as it stands in Redis.
pub fn stored(key: &str) -> String {
    format!("{APP_ID}||{key}")
}

/// The scene of a row; `None` for a row that nobody knows how to bring about.
pub fn of(id: &str) -> Option<Scene> {
    of_redis(id).or_else(|| of_connections(id)).or_else(|| of_saves(id))
}

fn of_redis(id: &str) -> Option<Scene> {
    let scene = match id {
        "READONLY" => Scene::redis(&[]).breaks(|servers, _| {
            tell(&servers[0], &["REPLICAOF", "127.0.0.1", "1"]);
        }),
        "LOADING" => Scene::redis(&["--enable-debug-command", "yes"])
            .breaks(|servers, _| load_slowly(&servers[0]))
            .repairs(|redis| {
                tell(redis, &["CONFIG", "SET", "key-load-delay", "0"]);
                eventually("the data is loaded", || is_loading(redis) == Some(false));
            }),
        "OOM" => Scene::redis(&[]).breaks(|servers, _| {
            tell(&servers[0], &["CONFIG", "SET", "maxmemory", "1"]);
        }),
        "NOPERM" => Scene::redis(&[])
            .breaks(|servers, _| {
                tell(&servers[0], &["ACL", "SETUSER", "app", "resetkeys", "~other*"]);
            })
            .logged_in("+@all"),
        "WRONGTYPE" => Scene::redis(&[])
            .asks(Asks { reads: true, ..Asks::default() })
            .breaks(|servers, key| tell(&servers[0], &["LPUSH", &stored(key), "0"])),
        "BUSY" => Scene::redis(&["--busy-reply-threshold", "1"])
            .breaks(|servers, _| keep_busy(&servers[0]))
            .repairs(|redis| {
                tell(redis, &["SCRIPT", "KILL"]);
                // It ends when it next looks.
                eventually("the script has ended", || !is_busy(redis));
            }),
        "MASTERDOWN" => {
            Scene::redis(&["--replica-serve-stale-data", "no", "--replica-read-only", "no"])
                .breaks(|servers, _| tell(&servers[0], &["REPLICAOF", "127.0.0.1", "1"]))
                .repairs(|redis| tell(redis, &["REPLICAOF", "NO", "ONE"]))
        }
        "NOSCRIPT" => {
            Scene::redis(&[]).breaks(|servers, _| tell(&servers[0], &["SCRIPT", "FLUSH"]))
        }
        "NOREPLICAS" => Scene::redis(&[]).breaks(|servers, _| {
            tell(&servers[0], &["CONFIG", "SET", "min-replicas-to-write", "1"]);
        }),
        "MISCONF" => Scene::redis(&[]).breaks(|servers, _| fail_to_save(&servers[0])),
        "MOVED" => Scene::on_redis(cluster_of_two()),
        "ASK" => Scene::scripted(PONG, Does::Says("-ASK 1 127.0.0.1:1")),
        "CROSSSLOT" => {
            let says = "-CROSSSLOT Keys in request don't hash to the same slot";
            Scene::scripted(PONG, Does::Says(says))
        }
        "CLUSTERDOWN" => Scene::on_redis(vec![cluster_node()]),
        "TRYAGAIN" => {
            let says = "-TRYAGAIN Multiple keys request during rehashing of slot";
            Scene::scripted(PONG, Does::Says(says))
        }
        _ => return None,
    };
    Some(scene)
}

fn of_connections(id: &str) -> Option<Scene> {
    Some(match id {
        "NOAUTH" => {
            let mut scene = Scene::redis(&[]).unconnected();
            scene.metadata.retain(|(name, _)| *name != "redisPassword");
            scene
        }
        "WRONGPASS" => Scene::redis(&[]).with("redisPassword", "another").patient().unconnected(),
        "connection-refused" => Scene::on(Servers::None, format!("127.0.0.1:{}", free_port()))
            .unconnected()
            .says("connection refused"),
        "name-unknown" => Scene::on(Servers::None, "nowhere.invalid:6379".to_owned()).unconnected(),
        "tls-refused" => {
            let (redis, tls) = Redis::start_with_tls(Clients::Anonymous);
            let host = format!("localhost:{}", tls.port);
            Scene::on_redis(vec![redis])
                .with("redisHost", &host)
                .with("enableTLS", "true")
                .patient()
                .unconnected()
                .says("tls: ")
        }
        "lost-before-sent" => Scene::scripted(Does::Closes, Does::Nothing),
        "lost-after-sent" => Scene::scripted(PONG, Does::Closes),
        "read-timeout-before-sent" => {
            Scene::crowded().with("readTimeout", "200").says("i/o timeout")
        }
        "read-timeout-after-sent" => Scene::silent().with("readTimeout", "200").says("i/o timeout"),
        "timeout-before-sent" => Scene { timeout: true, ..Scene::crowded().without_read_timeout() }
            .says("context deadline exceeded"),
        "timeout-after-sent" => {
            Scene { timeout: true, ..Scene::scripted(PONG, DONE_LATE).without_read_timeout() }
                .says("context deadline exceeded")
        }
        _ => return None,
    })
}

fn of_saves(id: &str) -> Option<Scene> {
    let plain = Asks::default();
    Some(match id {
        "conflict" => Scene::redis(&[])
            .asks(Asks { etag: Some("9"), ..plain })
            .breaks(|servers, key| written(&servers[0], key))
            .says("possible etag mismatch"),
        "bad-etag" => Scene::redis(&[])
            .asks(Asks { etag: Some("x"), ..plain })
            .breaks(|servers, key| written(&servers[0], key))
            .says("invalid etag value"),
        "bad-ttl" => Scene::redis(&[])
            .asks(Asks { ttl: Some("x"), ..plain })
            .breaks(|servers, key| written(&servers[0], key))
            .says("failed to parse ttl"),
        "first-write" => Scene::redis(&[])
            .breaks(|servers, key| {
                written(&servers[0], key);
                tell(&servers[0], &["HSET", &stored(key), "first-write", "0"]);
            })
            .says("first-write"),
        "wait-short" => with_a_replica().breaks(|servers, _| servers[1].pause()),
        "wait-refused" => with_a_replica().logged_in("-wait").says("redis waiting for 1 replicas"),
        "caller-left" => Scene::silent().without_read_timeout(),
        "deadline" => Scene::scripted(PONG, DONE_LATE)
            .without_read_timeout()
            .asks(Asks { deadline: Some("200m"), ..plain })
            .says("context deadline exceeded"),
        "breaker-open" => Scene::on(Servers::None, format!("127.0.0.1:{}", free_port()))
            .unconnected()
            .says("circuit breaker is open"),
        "breaker-half-open" => {
            Scene::scripted(PONG, Does::Closes).without_read_timeout().says("too many requests")
        }
        "shutting-down" => Scene::silent().without_read_timeout(),
        _ => return None,
    })
}

impl Scene {
    /// As a user who may do everything but this.
    fn logged_in(self, rule: &str) -> Self {
        if let Servers::Redis(servers) = &self.servers {
            let password = format!(">{}", canary::PASSWORD);
            tell(&servers[0], &["ACL", "SETUSER", "app", "on", &password, "~*", "+@all", rule]);
        }
        self.with("redisUsername", "app")
    }
}

fn with_a_replica() -> Scene {
    let master = Redis::start();
    let replica = Redis::replica_of(&master);
    eventually("the replica is in step", || {
        master.query::<String>(&["INFO", "replication"]).contains("state=online")
    });
    let strong = Asks { strong: true, ..Asks::default() };
    Scene::on_redis(vec![master, replica]).asks(strong)
}

/// A key that another program wrote.
fn written(redis: &Redis, key: &str) {
    tell(redis, &["HSET", &stored(key), "data", "0", "version", "5"]);
}

fn is_loading(redis: &Redis) -> Option<bool> {
    let info: String = redis.query(&["INFO", "persistence"]);
    info.lines().find_map(|line| line.strip_prefix("loading:")).map(|flag| flag != "0")
}

/// Has a server read its data again, which takes it long, and answers meanwhile that it does.
fn load_slowly(redis: &Redis) {
    if is_loading(redis) == Some(true) {
        return;
    }
    tell(redis, &["DEBUG", "POPULATE", "10000", "filling", "100"]);
    tell(redis, &["CONFIG", "SET", "loading-process-events-interval-bytes", "1024"]);
    tell(redis, &["CONFIG", "SET", "key-load-delay", "3000"]);
    start(redis, &["DEBUG", "RELOAD"]);
    eventually("the server loads", || is_loading(redis) == Some(true));
}

/// Sends a command for whose answer nobody waits.
fn start(redis: &Redis, words: &[&str]) {
    let url = format!("redis://:{}@127.0.0.1:{}/", canary::PASSWORD, redis.port);
    let client = redis::Client::open(url).expect("an address");
    let mut connection = client.get_connection().expect("a connection");
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    thread::spawn(move || drop(command.exec(&mut connection)));
}

fn is_busy(redis: &Redis) -> bool {
    let url = format!("redis://:{}@127.0.0.1:{}/", canary::PASSWORD, redis.port);
    let client = redis::Client::open(url).expect("an address");
    let wait = Duration::from_secs(5);
    let connection = client.get_connection_with_timeout(wait);
    let answer = connection.and_then(|mut redis| redis::cmd("PING").query::<String>(&mut redis));
    answer.is_err_and(|error| error.to_string().to_lowercase().contains("busy"))
}

/// Has a server run a script for ever.
fn keep_busy(redis: &Redis) {
    if !is_busy(redis) {
        start(redis, &["EVAL", "while true do end", "0"]);
    }
    eventually("the script runs", || is_busy(redis));
}

/// Has the server fail to save, for its folder is gone.
fn fail_to_save(redis: &Redis) {
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

fn cluster_node() -> Redis {
    let bus = free_port().to_string();
    Redis::start_with(&["--cluster-enabled", "yes", "--cluster-port", &bus])
}

/// Two servers of a cluster; every key is the second one's.
fn cluster_of_two() -> Vec<Redis> {
    let (asked, owner) = (cluster_node(), cluster_node());
    tell(&owner, &["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let bus: Vec<String> = owner.query(&["CONFIG", "GET", "cluster-port"]);
    tell(&asked, &["CLUSTER", "MEET", "127.0.0.1", &owner.port.to_string(), &bus[1]]);
    eventually("the cluster is whole", || {
        asked.query::<String>(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
    });
    vec![asked, owner]
}
