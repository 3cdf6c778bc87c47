//! JSON as `serde_json` reads it, with the order of members and their duplicates kept.

use std::{collections::BTreeSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// A JSON value.
pub enum Json {
    /// Neither text, list nor map.
    Plain(Value),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object's members as they stand.
    Map(Vec<(String, Json)>),
}

impl Json {
    /// The value, with the last of duplicate members.
    pub fn value(&self) -> Value {
        match self {
            Self::Plain(value) => value.clone(),
            Self::Text(text) => text.clone().into(),
            Self::List(items) => items.iter().map(Self::value).collect(),
            Self::Map(members) => {
                let members = members.iter().map(|(name, member)| (name.clone(), member.value()));
                Value::Object(members.collect())
            }
        }
    }

    /// Whether two members of one object have one name.
    pub fn has_twins(&self) -> bool {
        match self {
            Self::Plain(_) | Self::Text(_) => false,
            Self::List(items) => items.iter().any(Self::has_twins),
            Self::Map(members) => {
                let names: BTreeSet<&String> = members.iter().map(|(name, _)| name).collect();
                names.len() < members.len() || members.iter().any(|(_, member)| member.has_twins())
            }
        }
    }
}

/// What the oracle says about a text.
pub enum Judgement {
    /// It is this value.
    Valid(Json),
    /// It is no JSON.
    Invalid,
    /// Go reads such a text by other rules: bytes that are no UTF-8, escapes that are no
    /// character, values nested deeper than `serde_json` reads, numbers that no float64 holds.
    Undecided,
}

/// Judges a text that is to be one value.
pub fn whole(input: &[u8]) -> Judgement {
    judge(input, serde_json::from_slice(input))
}

/// Judges the first value of a text, whatever follows it.
pub fn first(input: &[u8]) -> Judgement {
    match serde_json::Deserializer::from_slice(input).into_iter().next() {
        // It wants a scalar to end before the next value begins, which Go does not: `nullx`, `01`.
        Some(Err(error))
            if ["trailing characters", "invalid number"]
                .iter()
                .any(|told| error.to_string().contains(told)) =>
        {
            Judgement::Undecided
        }
        Some(read) => judge(input, read),
        None => Judgement::Invalid,
    }
}

fn judge(input: &[u8], read: Result<Json, serde_json::Error>) -> Judgement {
    if std::str::from_utf8(input).is_err() {
        return Judgement::Undecided;
    }
    match read {
        Ok(json) => Judgement::Valid(json),
        Err(error) => {
            let told = error.to_string();
            let other_rules = told.contains("recursion limit") || told.contains("out of range");
            let escapes = input.windows(2).any(|pair| pair == b"\\u");
            if other_rules || escapes { Judgement::Undecided } else { Judgement::Invalid }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Plain(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Plain(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut map = Vec::new();
        while let Some(member) = members.next_entry()? {
            map.push(member);
        }
        Ok(Json::Map(map))
    }
}
