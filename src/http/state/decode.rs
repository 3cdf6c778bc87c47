//! Bodies of state requests, read as Go's streaming JSON decoder reads them into Dapr's types: the
//! first value only, names in any case, unknown members passed over, `null` as nothing given.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{
    api::json::{JsonError, Kind, Value},
    edge::admission::Refusal,
    http::state::loose::{self, LooseError},
};

/// Metadata by its name.
pub type Metadata = BTreeMap<String, String>;

/// Why a body is not the request it should be; the texts are Go's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A value is of another type than what it is for.
    #[error("json: cannot unmarshal {found} into Go {place} of type {wanted}")]
    Type {
        /// The value's type, with its digits where they matter.
        found: String,
        /// What the value is for.
        place: &'static str,
        /// The type wanted.
        wanted: &'static str,
    },
    /// The request of a transaction's operation is wrong.
    #[error(transparent)]
    Loose(#[from] LooseError),
    /// The body is larger than it may be.
    #[error("stream too large")]
    TooLarge,
    /// The body stopped coming.
    #[error("{0}")]
    Silent(String),
    /// There is no room for the body now.
    #[error("{0}")]
    Refused(Refusal),
}

/// What a save or an operation of a transaction asks for one key.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ItemRequest {
    /// The key as given.
    pub key: String,
    /// The value's compact JSON, if one was given.
    pub value: Option<Bytes>,
    /// The version the caller expects.
    pub etag: Option<String>,
    /// The item's own metadata.
    pub metadata: Metadata,
    /// The word for what happens when two writers meet.
    pub concurrency: String,
    /// The word for when a write counts as done.
    pub consistency: String,
}

/// One operation of a transaction.
#[derive(Clone)]
pub struct OperationRequest {
    /// What to do, as given.
    pub operation: String,
    /// What to do it with; absent when it is `null`.
    pub request: Option<Value>,
}

impl OperationRequest {
    /// The request of an `upsert`.
    pub fn upsert(&self) -> Result<ItemRequest, Malformed> {
        Ok(loose::item(self.request.as_ref(), true)?)
    }

    /// The request of a `delete`.
    pub fn delete(&self) -> Result<ItemRequest, Malformed> {
        Ok(loose::item(self.request.as_ref(), false)?)
    }
}

/// The items to save.
pub fn save(body: &[u8]) -> Result<Vec<ItemRequest>, Malformed> {
    let whole = Value::first_of(body)?;
    array(&whole, "value", "[]state.SetRequest")?;
    whole.elements().map(|element| set_request(&element)).collect()
}

/// The keys to read. How many are read side by side is checked and then left to the store.
pub fn bulk_get(body: &[u8]) -> Result<Vec<String>, Malformed> {
    let whole = Value::first_of(body)?;
    object(&whole, "value", "http.BulkGetRequest")?;
    let mut keys = Vec::new();
    for (name, value) in whole.members() {
        if same_name(&name, "keys") {
            const PLACE: &str = "struct field BulkGetRequest.keys";
            array(&value, PLACE, "[]string")?;
            let texts = value.elements().map(|key| Ok(text(&key, PLACE)?.unwrap_or_default()));
            keys = texts.collect::<Result<_, Malformed>>()?;
        } else if same_name(&name, "parallelism") {
            whole_number(&value, "struct field BulkGetRequest.parallelism")?;
        } else if same_name(&name, "metadata") {
            texts(&value, "struct field BulkGetRequest.metadata", &mut Metadata::new())?;
        }
    }
    Ok(keys)
}

/// The operations of a transaction. Its own metadata means nothing to the stores served here.
pub fn transaction(body: &[u8]) -> Result<Vec<OperationRequest>, Malformed> {
    let whole = Value::first_of(body)?;
    object(&whole, "value", "http.stateTransactionRequestBody")?;
    let mut operations = Vec::new();
    for (name, value) in whole.members() {
        if same_name(&name, "operations") {
            const PLACE: &str = "struct field stateTransactionRequestBody.operations";
            array(&value, PLACE, "[]http.stateTransactionRequestBodyOperation")?;
            operations = value
                .elements()
                .map(|element| operation(&element, PLACE))
                .collect::<Result<_, Malformed>>()?;
        } else if same_name(&name, "metadata") {
            const PLACE: &str = "struct field stateTransactionRequestBody.metadata";
            texts(&value, PLACE, &mut Metadata::new())?;
        }
    }
    Ok(operations)
}

fn operation(element: &Value, place: &'static str) -> Result<OperationRequest, Malformed> {
    object(element, place, "http.stateTransactionRequestBodyOperation")?;
    let mut read = OperationRequest { operation: String::new(), request: None };
    for (name, value) in element.members() {
        if same_name(&name, "operation") {
            const PLACE: &str =
                "struct field stateTransactionRequestBodyOperation.operations.operation";
            if let Some(text) = text(&value, PLACE)? {
                read.operation = text;
            }
        } else if same_name(&name, "request") {
            const PLACE: &str =
                "struct field stateTransactionRequestBodyOperation.operations.request";
            stored(&value, PLACE)?;
            read.request = (value.kind() != Kind::Null).then_some(value);
        }
    }
    Ok(read)
}

fn set_request(element: &Value) -> Result<ItemRequest, Malformed> {
    object(element, "value", "state.SetRequest")?;
    let mut item = ItemRequest::default();
    for (name, value) in element.members() {
        if same_name(&name, "key") {
            if let Some(key) = text(&value, "struct field SetRequest.key")? {
                item.key = key;
            }
        } else if same_name(&name, "value") {
            item.value = Some(stored(&value, "struct field SetRequest.value")?);
        } else if same_name(&name, "etag") {
            item.etag = text(&value, "struct field SetRequest.etag")?;
        } else if same_name(&name, "metadata") {
            texts(&value, "struct field SetRequest.metadata", &mut item.metadata)?;
        } else if same_name(&name, "options") {
            options(&value, &mut item)?;
        } else if same_name(&name, "contentType") {
            text(&value, "struct field SetRequest.contentType")?;
        }
    }
    Ok(item)
}

fn options(value: &Value, item: &mut ItemRequest) -> Result<(), Malformed> {
    object(value, "struct field SetRequest.options", "state.SetStateOption")?;
    for (name, word) in value.members() {
        if same_name(&name, "concurrency") {
            const PLACE: &str = "struct field SetStateOption.options.Concurrency";
            if let Some(word) = text(&word, PLACE)? {
                item.concurrency = word;
            }
        } else if same_name(&name, "consistency") {
            const PLACE: &str = "struct field SetStateOption.options.Consistency";
            if let Some(word) = text(&word, PLACE)? {
                item.consistency = word;
            }
        }
    }
    Ok(())
}

/// Adds the texts of an object to those already there, as Go does where a name comes twice.
fn texts(value: &Value, place: &'static str, into: &mut Metadata) -> Result<(), Malformed> {
    object(value, place, "map[string]string")?;
    if value.kind() == Kind::Null {
        into.clear();
    }
    for (name, value) in value.members() {
        into.insert(name.into_owned(), text(&value, place)?.unwrap_or_default());
    }
    Ok(())
}

/// A string, or nothing for `null`.
fn text(value: &Value, place: &'static str) -> Result<Option<String>, Malformed> {
    if value.kind() == Kind::Null {
        return Ok(None);
    }
    value.string().map(Some).ok_or_else(|| wrong_type(value, place, "string"))
}

/// The bytes to store; Go holds every number in a float64 and refuses those that do not fit.
fn stored(value: &Value, place: &'static str) -> Result<Bytes, Malformed> {
    value.clone().into_stored().map_err(|error| match error {
        JsonError::NumberOutOfRange(digits) => {
            Malformed::Type { found: format!("number {digits}"), place, wanted: "float64" }
        }
        other => other.into(),
    })
}

fn whole_number(value: &Value, place: &'static str) -> Result<(), Malformed> {
    if value.kind() == Kind::Null {
        return Ok(());
    }
    if value.kind() != Kind::Number {
        return Err(wrong_type(value, place, "int"));
    }
    let digits = String::from_utf8_lossy(value.text());
    match digits.parse::<i64>() {
        Ok(_) => Ok(()),
        Err(_) => Err(Malformed::Type { found: format!("number {digits}"), place, wanted: "int" }),
    }
}

fn array(value: &Value, place: &'static str, wanted: &'static str) -> Result<(), Malformed> {
    if matches!(value.kind(), Kind::Array | Kind::Null) {
        Ok(())
    } else {
        Err(wrong_type(value, place, wanted))
    }
}

fn object(value: &Value, place: &'static str, wanted: &'static str) -> Result<(), Malformed> {
    if matches!(value.kind(), Kind::Object | Kind::Null) {
        Ok(())
    } else {
        Err(wrong_type(value, place, wanted))
    }
}

fn wrong_type(value: &Value, place: &'static str, wanted: &'static str) -> Malformed {
    let found = match value.kind() {
        Kind::Null => "null",
        Kind::Bool => "bool",
        Kind::Number => "number",
        Kind::String => "string",
        Kind::Array => "array",
        Kind::Object => "object",
    };
    Malformed::Type { found: found.to_owned(), place, wanted }
}

/// Whether Go takes `given` for the field `name`: in any case, and two characters beyond ASCII
/// have an ASCII letter as their other case.
pub fn same_name(given: &str, name: &str) -> bool {
    let folded = |character: char| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    given == name || given.chars().map(folded).eq(name.chars().map(folded))
}
