//! The order-processor of the quickstart in Rust: saves an order, reads it back, deletes it and
//! goes on with the next one until it is told to stop.
//!
//! `ORDERS` is how many orders (default: no end), `PAUSE_MS` how long to wait between two of them
//! (default 500), `DELETE=false` keeps them in the store.

use std::{env, error::Error, time::Duration};

use outrigger::proto::{
    common::v1::StateItem,
    runtime::v1::{DeleteStateRequest, GetStateRequest, SaveStateRequest, dapr_client::DaprClient},
};
use tokio::signal::unix::{SignalKind, signal};
use tonic::{Request, transport::Channel};

const STORE: &str = "statestore";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let orders = number_from("ORDERS")?.unwrap_or(u64::MAX);
    let pause = Duration::from_millis(number_from("PAUSE_MS")?.unwrap_or(500));
    let port = number_from("DAPR_GRPC_PORT")?.unwrap_or(50001);
    let mut store = Store {
        client: DaprClient::connect(format!("http://127.0.0.1:{port}")).await?,
        token: env::var("DAPR_API_TOKEN").ok().filter(|token| !token.is_empty()),
        deletes: env::var("DELETE").as_deref() != Ok("false"),
    };

    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut processed = 0;
    while processed < orders {
        store.process(processed + 1).await?;
        processed += 1;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = interrupted.recv() => break,
            _ = terminated.recv() => break,
        }
    }
    // The sidecar outlives its app, so this works after Ctrl-C, too.
    store.save("processed", processed.to_string()).await?;
    println!("Processed {processed} orders");
    Ok(())
}

fn number_from(variable: &str) -> Result<Option<u64>, Box<dyn Error>> {
    match env::var(variable) {
        Ok(text) => {
            Ok(Some(text.parse().map_err(|_| format!("{variable} is not a number: {text}"))?))
        }
        Err(_) => Ok(None),
    }
}

struct Store {
    client: DaprClient<Channel>,
    token: Option<String>,
    deletes: bool,
}

impl Store {
    async fn process(&mut self, number: u64) -> Result<(), Box<dyn Error>> {
        let key = number.to_string();
        let order = format!(r#"{{"orderId":"{key}"}}"#);
        self.save(&key, order.clone()).await?;
        println!("Saving Order: {{ orderId: '{key}' }}");
        if self.get(&key).await? != order.as_bytes() {
            return Err(format!("order {key} came back changed").into());
        }
        println!("Getting Order: {{ orderId: '{key}' }}");
        if self.deletes {
            self.delete(&key).await?;
            println!("Deleting Order: {{ orderId: '{key}' }}");
        }
        Ok(())
    }

    async fn save(&mut self, key: &str, value: String) -> Result<(), Box<dyn Error>> {
        let item = StateItem { key: key.into(), value: value.into(), ..StateItem::default() };
        let request = SaveStateRequest { store_name: STORE.into(), states: vec![item] };
        let request = self.request(request)?;
        self.client.save_state(request).await?;
        Ok(())
    }

    async fn get(&mut self, key: &str) -> Result<Vec<u8>, Box<dyn Error>> {
        let request = GetStateRequest {
            store_name: STORE.into(),
            key: key.into(),
            ..GetStateRequest::default()
        };
        let request = self.request(request)?;
        Ok(self.client.get_state(request).await?.into_inner().data.to_vec())
    }

    async fn delete(&mut self, key: &str) -> Result<(), Box<dyn Error>> {
        let request = DeleteStateRequest {
            store_name: STORE.into(),
            key: key.into(),
            ..DeleteStateRequest::default()
        };
        let request = self.request(request)?;
        self.client.delete_state(request).await?;
        Ok(())
    }

    fn request<T>(&self, message: T) -> Result<Request<T>, Box<dyn Error>> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("dapr-api-token", token.parse()?);
        }
        Ok(request)
    }
}
