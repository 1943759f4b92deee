//! The configuration as JSON Schema, for editors: made of the very structs that read it, by `veil schema`. What one
//! struct alone cannot know (that a route's pool is defined, say) is left to `veil check`.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::{Value, json};

use crate::config::Config;

/// Draft 7, which editors know best.
pub fn schema() -> Schema {
    let settings = SchemaSettings::draft07().with_transform(Variables);
    let mut schema = settings.into_generator().into_root_schema_for::<Config>();
    schema.insert("title".to_owned(), "Veil's configuration".into());
    schema
}

/// Lets `${NAME}` stand for any value that is not a map or a list.
#[derive(Clone, Debug)]
struct Variables;

impl Transform for Variables {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        // A variable fits each of the alternatives, and so it would never fit exactly one.
        if let Some(alternatives) = object.remove("oneOf") {
            object.insert("anyOf".to_owned(), alternatives);
        }
        if let Some(fixed) = ["enum", "const"].iter().find(|key| object.contains_key(**key)) {
            let values = object.remove(*fixed).map(as_read).unwrap_or_default();
            let mut fixed_alone = match values.as_slice() {
                [one] => json!({ "const": one }),
                _ => json!({ "enum": values }),
            };
            let kind = object.remove("type").unwrap_or(json!("string"));
            if !values.iter().any(Value::is_boolean) {
                fixed_alone["type"] = kind;
            }
            object.insert("anyOf".to_owned(), json!([fixed_alone, variable()]));
            return;
        }
        let types: Vec<String> = match object.get("type") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => return,
        };
        let is = |name: &str| types.iter().any(|known| known == name);
        // Keywords hold for their own type only, so that a pattern does not touch numbers, nor a range texts.
        match object.get("pattern").and_then(Value::as_str) {
            Some(pattern) => {
                let either = format!("({pattern})|{VARIABLE}");
                object.insert("pattern".to_owned(), either.into());
            }
            None if !is("string") && ["integer", "number", "boolean"].into_iter().any(is) => {
                let types: Vec<String> = types.into_iter().chain(["string".to_owned()]).collect();
                object.insert("type".to_owned(), types.into());
                object.insert("pattern".to_owned(), VARIABLE.into());
            }
            None => {}
        }
    }
}

/// Values that may stand there: `on` and `off` too as those editors read them that go by YAML 1.1.
fn as_read(fixed: Value) -> Vec<Value> {
    let mut values = match fixed {
        Value::Array(values) => values,
        one => vec![one],
    };
    for (word, read) in [("on", true), ("off", false)] {
        if values.contains(&word.into()) && !values.contains(&read.into()) {
            values.push(read.into());
        }
    }
    values
}

const VARIABLE: &str = r"\$\{";

fn variable() -> Value {
    json!({ "type": "string", "pattern": VARIABLE })
}
