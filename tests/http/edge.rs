//! An HTTP edge with a state store, on a free port, and a client that sends bytes as they are.

use std::{sync::Arc, time::Duration};

use outrigger::{
    api::{
        key::KeyPrefix,
        metadata::{Health, Identity, MetadataApi, ShutdownHandle},
        state::{StateApi, StateComponent},
    },
    edge::{access::Access, admission::Admission, connection::Wire, drain::Drain, listener},
    http::{self, Sidecar, Surroundings, state::StateRoutes},
    resiliency::policy::Policy,
    state_store::{
        ConfiguredStore,
        in_memory::InMemoryStore,
        redis::{RedisStore, health::RedisHealth, settings::RedisSettings},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::redis::Server;

/// The edge of a sidecar called `probe` with a store called `statestore`.
pub struct Edge {
    pub port: u16,
    pub api: StateApi,
    pub drain: Drain,
}

pub fn in_memory() -> ConfiguredStore {
    ConfiguredStore::InMemory(InMemoryStore::new())
}

pub fn redis(server: &Server) -> ConfiguredStore {
    let host = ("redisHost".to_owned(), format!("127.0.0.1:{}", server.port));
    let (settings, _) = RedisSettings::parse(&[host]).unwrap();
    let health = Arc::new(RedisHealth::new("statestore (state.redis/v1)"));
    ConfiguredStore::Redis(RedisStore::new("statestore", Arc::new(settings), health))
}

impl Edge {
    pub fn start(store: ConfiguredStore) -> Self {
        let policy = Policy::none("component[statestore] output");
        Self::with(Some((store, policy)), Some(4 << 20))
    }

    pub fn with(store: Option<(ConfiguredStore, Policy)>, max_body_size: Option<usize>) -> Self {
        let components = store.map(|(store, outbound)| StateComponent {
            name: "statestore".to_owned(),
            store,
            key_prefix: KeyPrefix::parse(None, "probe", "statestore", None).unwrap(),
            outbound,
            meters: Arc::default(),
        });
        let api = StateApi::new(components.into_iter().collect());
        let identity = Identity { id: "probe".to_owned(), ..Identity::default() };
        let sidecar = Sidecar {
            metadata: MetadataApi::new(identity, Arc::new(|_| {})),
            health: Health::starting("probe"),
            shutdown: ShutdownHandle::default(),
            max_body_size,
        };
        sidecar.health.set_outbound_ready();
        sidecar.health.set_ready();
        let open = Access::default();
        let app_id = "probe".to_owned();
        let state = StateRoutes::new(api.clone(), app_id, max_body_size, &open);
        let others = http::sidecar_routes(sidecar, &open);
        let drain = Drain::default();
        let surroundings = Surroundings {
            read_buffer_size: 4096,
            tracing: true,
            drain: drain.clone(),
            ..Surroundings::default()
        };
        let listener =
            listener::Listener::bind("--dapr-http-port", &["127.0.0.1".to_owned()], 0).unwrap();
        let port = listener.port();
        let service = http::service(Some(state), others, surroundings);
        let (wire, admission) = (Wire::http(4096, true), Admission::default());
        tokio::spawn(listener::serve(listener, wire, service, drain.clone(), admission));
        Self { port, api, drain }
    }

    /// Sends a request whose length is announced, on a connection of its own.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("connection: close\r\ncontent-length: {}\r\n\r\n", body.len()));
        let sent = [head.as_bytes(), body].concat();
        self.exchange(&sent).await.unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"").await
    }

    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[], body.as_bytes()).await
    }

    /// Sends these bytes; `None` when the connection ends without an answer.
    pub async fn exchange(&self, sent: &[u8]) -> Option<Answer> {
        let mut stream = self.connect().await;
        stream.write_all(sent).await.unwrap();
        answer_of(stream).await
    }

    /// The same, and says at once that nothing more will come.
    pub async fn hang_up_after(&self, sent: &[u8]) -> Option<Answer> {
        let mut stream = self.connect().await;
        // The edge may have answered and left before it had all of it.
        stream.write_all(sent).await.ok();
        stream.shutdown().await.ok();
        answer_of(stream).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }
}

async fn answer_of(mut stream: TcpStream) -> Option<Answer> {
    let mut received = Vec::new();
    let reading = stream.read_to_end(&mut received);
    let read = tokio::time::timeout(Duration::from_secs(20), reading).await;
    read.expect("the answer takes too long").ok();
    Answer::parse(&received)
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(received: &[u8]) -> Option<Self> {
        let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&received[..end]).unwrap();
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            (name.to_ascii_lowercase(), value.to_owned())
        });
        let headers = headers.collect();
        Some(Self { status, headers, body: received[end + 4..].to_vec() })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(given, _)| given == name);
        found.next().map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
