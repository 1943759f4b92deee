//! Comparisons of unlike values, such as of a text with a number, fail. The interpreter takes such values for different: a rule
//! that was meant to keep somebody out would let everybody in.

use std::any::TypeId;

use rhai::{Array, Engine, FnPtr, ImmutableString, Map};

use super::network::Networks;
use super::outcome::failure;
use super::{Request, Response};
use crate::script::draft::Decision;

pub fn register(engine: &mut Engine) {
    // Operators look for registered functions before they do what is built in.
    engine.set_fast_operators(false);
    let kinds = kinds();
    let unlike = kinds.iter().flat_map(|one| kinds.iter().map(move |other| (one, other)));
    for ((one, one_is), (other, other_is)) in unlike.filter(|(one, other)| one.0 != other.0) {
        for operator in OPERATORS {
            let what = format!("compares {one_is} with {other_is}");
            engine.register_raw_fn(operator, [*one, *other], move |_, _| {
                Err::<bool, _>(failure(what.as_str()))
            });
        }
    }
}

fn kinds() -> [(TypeId, &'static str); 11] {
    [
        (TypeId::of::<ImmutableString>(), "a text"),
        (TypeId::of::<i64>(), "a number"),
        (TypeId::of::<bool>(), "true or false"),
        (TypeId::of::<()>(), "nothing"),
        (TypeId::of::<Array>(), "a list"),
        (TypeId::of::<Map>(), "a map"),
        (TypeId::of::<FnPtr>(), "a function"),
        (TypeId::of::<Networks>(), "networks"),
        (TypeId::of::<Decision>(), "a decision"),
        (TypeId::of::<Request>(), "the request"),
        (TypeId::of::<Response>(), "the answer"),
    ]
}

const OPERATORS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];
