//! YAML as JSON values, for looking into documents.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// The documents of a text, by YAML 1.2's core schema as far as manifests use it.
#[track_caller]
pub fn documents(text: &str) -> Vec<Value> {
    let mut parser = Parser::new_from_str(text);
    let mut documents = Vec::new();
    loop {
        let (event, _) = parser.next_event().expect("an end").expect("YAML");
        match event {
            Event::DocumentStart(_) => {
                let (event, _) = parser.next_event().expect("a root").expect("YAML");
                documents.push(value(event, &mut parser));
            }
            Event::StreamEnd => return documents,
            _ => {}
        }
    }
}

fn value<'a>(event: Event<'a>, parser: &mut Parser<'a, saphyr_parser::StrInput<'a>>) -> Value {
    let next = |parser: &mut Parser<'a, saphyr_parser::StrInput<'a>>| {
        parser.next_event().expect("more").expect("YAML").0
    };
    match event {
        Event::Scalar(text, ScalarStyle::Plain, ..) => plain(&text),
        Event::Scalar(text, ..) => Value::String(text.into_owned()),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match next(parser) {
                    Event::SequenceEnd => return Value::Array(items),
                    event => items.push(value(event, parser)),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut entries = Map::new();
            loop {
                match next(parser) {
                    Event::MappingEnd => return Value::Object(entries),
                    Event::Scalar(key, ..) => {
                        let event = next(parser);
                        let earlier = entries.insert(key.to_string(), value(event, parser));
                        assert!(earlier.is_none(), "{key} stands twice");
                    }
                    other => panic!("{other:?} is no key"),
                }
            }
        }
        other => panic!("{other:?} is not expected in a manifest"),
    }
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        text => match text.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => Value::String(text.to_owned()),
        },
    }
}
