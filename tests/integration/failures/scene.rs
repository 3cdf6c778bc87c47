//! What each row is played on: a server in that condition, stores on it, a call.

mod calls;
mod conditions;
mod connections;
mod replies;

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use outrigger::api::failures::Operation;
use socket2::{Domain, Socket, Type};

pub use self::conditions::connection;
use super::{
    caller::Asks,
    scripted::{Does, Scripted},
};
use crate::harness::{canary, proxy::Proxy, redis::Redis, sidecar::APP_ID};

/// The servers of a row.
pub enum Servers {
    /// The first is the one that the stores are on.
    Redis(Vec<Redis>),
    Scripted(Scripted),
    /// Kept open.
    Crowded {
        _server: Crowded,
    },
    /// Nobody, on a port that nobody else gets.
    Reserved {
        _port: Reserved,
    },
    /// Nobody.
    None,
}

/// A port where nobody listens.
pub struct Reserved(Socket);

impl Reserved {
    fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any_port.into()).expect("a free port");
        Self(socket)
    }

    fn port(&self) -> u16 {
        let address = self.0.local_addr().expect("a bound socket");
        address.as_socket_ipv4().expect("an address of IPv4").port()
    }
}

/// A port whose queue of connections is full: whoever connects hears nothing.
pub struct Crowded {
    listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Crowded {
    fn start() -> Self {
        let Reserved(socket) = Reserved::new();
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

/// The policies before the stores of a row; their names stand in `rows.rs`.
#[derive(Clone, Copy)]
pub struct Policies {
    /// Of the store that retries.
    pub retries: &'static str,
    /// Of the one whose breaker opens if the row counts as a failure.
    pub trips: &'static str,
    /// Of the one whose breaker opens at a failure if the row counted as a success.
    pub tallies: &'static str,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            retries: "retry: twice",
            trips: "circuitBreaker: trips",
            tallies: "circuitBreaker: tallies",
        }
    }
}

/// What a row is played on.
pub struct Scene {
    pub servers: Servers,
    /// What stands between, if anything does.
    pub proxy: Option<Proxy>,
    /// The component's settings.
    pub metadata: Vec<(&'static str, String)>,
    pub policies: Policies,
    /// Whether the policy bounds an attempt.
    pub timeout: bool,
    /// Whether the stores are connected before the condition comes about.
    pub connects: bool,
    pub asks: Asks,
    /// Brings the condition about, before each call.
    pub breaks: Box<Breaks>,
    /// Ends it, so that one can look at what is stored.
    pub repairs: Box<Repairs>,
    /// Words of the message of every answer.
    pub says: &'static str,
    /// How many attempts a call with retries makes, where the table alone does not say it.
    pub attempts: Option<usize>,
    /// Whether Redis did what was asked, where the table does not know.
    pub executed: Option<bool>,
    /// The command with which an attempt begins.
    pub command: &'static str,
}

pub type Breaks = dyn Fn(&Scene, &str) + Send + Sync;
pub type Repairs = dyn Fn(&Redis) + Send + Sync;

impl Scene {
    fn on(servers: Servers, host: String) -> Self {
        Self {
            servers,
            proxy: None,
            metadata: vec![("redisHost", host)],
            policies: Policies::default(),
            timeout: false,
            connects: true,
            asks: Asks::default(),
            breaks: Box::new(|_, _| {}),
            repairs: Box::new(|_| {}),
            says: "",
            attempts: None,
            executed: None,
            command: "evalsha",
        }
    }

    fn redis(args: &[&str]) -> Self {
        Self::on_redis(vec![Redis::start_with(args)])
    }

    fn on_redis(servers: Vec<Redis>) -> Self {
        let host = format!("127.0.0.1:{}", servers[0].port);
        Self::on(Servers::Redis(servers), host).with("redisPassword", canary::PASSWORD)
    }

    /// A Redis that knows the script, behind a proxy.
    fn behind_a_proxy() -> Self {
        let redis = Redis::start();
        load_script(&redis);
        let proxy = Proxy::to(redis.port);
        let host = format!("127.0.0.1:{}", proxy.port);
        let scene = Self::on_redis(vec![redis]).with("redisHost", &host);
        Self { proxy: Some(proxy), ..scene }
    }

    fn scripted(on_script: Does) -> Self {
        let server = Scripted::start(on_script);
        let host = format!("127.0.0.1:{}", server.port);
        Self::on(Servers::Scripted(server), host)
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

    /// Tells the first Redis something, before each call, about its stored key.
    fn breaks(self, breaks: impl Fn(&[Redis], &str) + Send + Sync + 'static) -> Self {
        let breaks = move |scene: &Self, key: &str| breaks(scene.redis_servers(), &stored(key));
        Self { breaks: Box::new(breaks), ..self }
    }

    fn repairs(self, repairs: impl Fn(&Redis) + Send + Sync + 'static) -> Self {
        Self { repairs: Box::new(repairs), ..self }
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

    /// Retries when there is a connection again, so that each attempt is sent.
    fn retried_patiently(mut self) -> Self {
        self.policies.retries = "retry: patiently";
        self.attempts = Some(2);
        self
    }

    /// A server that takes a call and never answers.
    fn silent() -> Self {
        Self::scripted(Does::Nothing).without_timeouts()
    }

    fn without_timeouts(self) -> Self {
        self.with("readTimeout", "-1").with("writeTimeout", "-1")
    }

    /// The Redis of this scene, its replicas.
    pub fn redis_servers(&self) -> &[Redis] {
        match &self.servers {
            Servers::Redis(servers) => servers,
            _ => &[],
        }
    }

    /// The scripted server of this scene.
    pub fn scripted_server(&self) -> &Scripted {
        match &self.servers {
            Servers::Scripted(server) => server,
            _ => panic!("another one"),
        }
    }
}

/// So that each attempt is one call.
fn load_script(redis: &Redis) {
    tell(redis, &["SCRIPT", "LOAD", include_str!("../../../src/state_store/redis/write.lua")]);
}

fn tell(redis: &Redis, words: &[&str]) {
    redis.query::<redis::Value>(words);
}

/// A key as it stands in Redis.
pub fn stored(key: &str) -> String {
    format!("{APP_ID}||{key}")
}

/// The scene of a row that asks for this; `None` for a row that nobody knows how to bring about.
pub fn of(id: &str, operation: Operation) -> Option<Scene> {
    let scene = replies::of(id).or_else(|| connections::of(id)).or_else(|| calls::of(id));
    scene.map(|mut scene| {
        scene.asks.operation = operation;
        scene
    })
}
