//! One connection to the server, made anew when it breaks.

use std::{net::SocketAddr, sync::Mutex, time::Duration};

use tokio::{net::TcpStream, time::Instant};

use crate::{
    args::Protocol,
    failure::Failure,
    grpc, http1,
    messages::{Messages, Request},
};

/// How long nobody tries to connect after a try failed.
const BACK_OFF: Duration = Duration::from_millis(20);

/// One connection.
#[derive(Debug)]
pub struct Line {
    address: SocketAddr,
    state: State,
    /// When the next try to connect may be made.
    retry_at: Mutex<Instant>,
}

#[derive(Debug)]
enum State {
    /// Shared by calls.
    Grpc(tokio::sync::Mutex<Option<grpc::Sender>>),
    /// One call's at a time.
    Http(tokio::sync::Mutex<Option<http1::Sender>>),
}

impl Line {
    /// A line that is not connected yet.
    pub fn new(protocol: Protocol, address: SocketAddr) -> Self {
        let state = match protocol {
            Protocol::Grpc => State::Grpc(tokio::sync::Mutex::new(None)),
            Protocol::Http => State::Http(tokio::sync::Mutex::new(None)),
        };
        Self { address, state, retry_at: Mutex::new(Instant::now()) }
    }

    /// Connects, so that no call has to.
    pub async fn connect(&self) -> Result<(), Failure> {
        match &self.state {
            State::Grpc(state) => {
                *state.lock().await = Some(grpc::open(self.stream().await?).await?)
            }
            State::Http(state) => {
                *state.lock().await = Some(http1::open(self.stream().await?).await?);
            }
        }
        Ok(())
    }

    /// Makes one call and judges its answer.
    pub async fn call(&self, messages: &Messages, request: Request) -> Result<(), Failure> {
        match &self.state {
            State::Grpc(state) => {
                let sender = self.grpc_sender(state).await?;
                grpc::call(sender, &messages.expected, request).await
            }
            State::Http(state) => {
                let mut state = state.lock().await;
                let sender = match state.take_if(|sender| !sender.is_closed()) {
                    Some(sender) => state.insert(sender),
                    None => state.insert(http1::open(self.stream().await?).await?),
                };
                let called = http1::call(sender, &messages.expected, request).await;
                if called == Err(Failure::BrokenOff) {
                    *state = None;
                }
                called
            }
        }
    }

    async fn grpc_sender(
        &self,
        state: &tokio::sync::Mutex<Option<grpc::Sender>>,
    ) -> Result<grpc::Sender, Failure> {
        let mut state = state.lock().await;
        match &*state {
            Some(sender) if sender.is_open() => Ok(sender.clone()),
            _ => {
                let sender = grpc::open(self.stream().await?).await?;
                Ok(state.insert(sender).clone())
            }
        }
    }

    async fn stream(&self) -> Result<TcpStream, Failure> {
        if Instant::now() < *self.retry_at.lock().expect("invariant: nobody panics with it") {
            return Err(Failure::NotConnected);
        }
        let stream = TcpStream::connect(self.address).await;
        match stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
            Ok(stream) => Ok(stream),
            Err(_) => {
                *self.retry_at.lock().expect("invariant: nobody panics with it") =
                    Instant::now() + BACK_OFF;
                Err(Failure::NotConnected)
            }
        }
    }
}
