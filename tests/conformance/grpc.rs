//! Calls of messages that are known by their descriptors alone, as JSON in and JSON out.

use std::{sync::LazyLock, time::Duration};

use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions,
    prost::{DecodeError, Message as _},
};
use serde_json::{Map, Value, json};
use tonic::{
    Request, Response, Status,
    client::Grpc as Client,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::{Ascii, MetadataKey},
    transport::{Channel, Endpoint},
};
use tonic_types::{ErrorDetail, StatusExt as _};

use crate::{
    harness::{PATIENCE, client},
    recording::Grpc,
};

const SERVICE: &str = "dapr.proto.runtime.v1.Dapr";

static DESCRIPTORS: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(outrigger::proto::DESCRIPTORS).expect("descriptors of the build")
});

/// A channel that connects at its first call, so that a failure is that call's answer.
pub fn channel(port: u16) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).expect("an address");
    let endpoint = endpoint.connect_timeout(Duration::from_secs(5));
    client::block_on(async { endpoint.connect_lazy() })
}

/// Sends a call and says what came back, in the form of the recordings.
pub fn call(channel: Channel, call: &Grpc) -> Value {
    let service = DESCRIPTORS.get_service_by_name(SERVICE).expect("the service");
    let mut methods = service.methods();
    let method = methods.find(|method| method.name() == call.method).expect("a method of ours");
    let request = DynamicMessage::deserialize(method.input(), &call.request).expect("proto JSON");
    let mut request = Request::new(request.encode_to_vec());
    for (key, value) in &call.metadata {
        let key: MetadataKey<Ascii> = key.parse().expect("a metadata key");
        request.metadata_mut().append(key, value.parse().expect("a metadata value"));
    }
    if let Some(seconds) = call.deadline_s {
        request.set_timeout(Duration::from_secs_f64(seconds));
    }
    let path = format!("/{SERVICE}/{}", call.method).parse().expect("a path");
    let answer = client::block_on(async {
        tokio::time::timeout(PATIENCE, async {
            let mut client = Client::new(channel);
            client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            client.unary(request, path, Raw).await
        })
        .await
    });
    match answer {
        Err(_) => json!(format!("no answer within {PATIENCE:?}")),
        Ok(Ok(response)) => match body(method.output(), &response) {
            Ok(body) => json!({"code": "OK", "body": body}),
            Err(error) => json!(format!("not a message: {error}")),
        },
        Ok(Err(status)) => refusal(&status),
    }
}

fn body(kind: MessageDescriptor, response: &Response<Vec<u8>>) -> Result<Value, DecodeError> {
    let message = DynamicMessage::decode(kind, response.get_ref().as_slice())?;
    let options = SerializeOptions::new();
    let json = message.serialize_with_options(serde_json::value::Serializer, &options);
    Ok(json.expect("proto JSON"))
}

fn refusal(status: &Status) -> Value {
    let details: Vec<Value> = status.get_error_details_vec().iter().map(detail).collect();
    json!({"code": code(status), "message": status.message(), "details": details})
}

/// The code's name as the specification writes it.
fn code(status: &Status) -> String {
    let mut name = String::new();
    for letter in format!("{:?}", status.code()).chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

fn detail(detail: &ErrorDetail) -> Value {
    match detail {
        ErrorDetail::ErrorInfo(info) => {
            let mut fields = texts(&[("reason", &info.reason), ("domain", &info.domain)]);
            if !info.metadata.is_empty() {
                fields.insert("metadata".to_owned(), json!(info.metadata));
            }
            json!({"ErrorInfo": fields})
        }
        ErrorDetail::ResourceInfo(info) => {
            let fields = texts(&[
                ("resourceType", &info.resource_type),
                ("resourceName", &info.resource_name),
                ("owner", &info.owner),
                ("description", &info.description),
            ]);
            json!({"ResourceInfo": fields})
        }
        ErrorDetail::BadRequest(bad) => {
            let violations = bad.field_violations.iter().map(|violation| {
                texts(&[("field", &violation.field), ("description", &violation.description)])
            });
            json!({"BadRequest": {"fieldViolations": violations.collect::<Vec<_>>()}})
        }
        other => json!(format!("{other:?}")),
    }
}

/// Those that are not empty, as proto JSON has it.
fn texts(fields: &[(&str, &String)]) -> Map<String, Value> {
    let given = fields.iter().filter(|(_, value)| !value.is_empty());
    given.map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
}

/// Messages as they are on the wire.
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = bytes::Buf::remaining(buffer);
        Ok(Some(bytes::Buf::copy_to_bytes(buffer, length).to_vec()))
    }
}
