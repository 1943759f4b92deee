//! The interpreter: one for all scripts with the same limits. It has no files, modules, clock or output, and of the language's
//! own library only what cannot be made to run long or to panic.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage,
    BasicStringPackage, LogicPackage, Package,
};
use rhai::{Array, Engine, EvalAltResult, FnPtr};

use super::limits::Limits;
use super::{bounds, library};

/// The engine for these limits; engines are few, and are kept.
pub fn engine(limits: &Limits) -> Arc<Engine> {
    type Engines = HashMap<u64, Vec<(Limits, Arc<Engine>)>>;
    /// Contended by who reads configurations alone.
    static ENGINES: OnceLock<Mutex<Engines>> = OnceLock::new();
    let mut engines = ENGINES.get_or_init(Mutex::default).lock();
    let alike = engines.entry(limits.operations).or_default();
    if let Some((_, engine)) = alike.iter().find(|(known, _)| known == limits) {
        return Arc::clone(engine);
    }
    let engine = Arc::new(made(limits));
    alike.push((limits.clone(), Arc::clone(&engine)));
    engine
}

fn made(limits: &Limits) -> Engine {
    let mut engine = Engine::new_raw();
    engine
        .set_max_operations(limits.operations)
        .set_max_call_levels(limits.call_depth)
        .set_max_string_size(limits.string)
        .set_max_array_size(limits.array)
        .set_max_map_size(limits.map)
        .set_max_variables(MOST_VARIABLES)
        .set_max_functions(MOST_FUNCTIONS)
        .set_max_expr_depths(DEEPEST_EXPRESSION, DEEPEST_EXPRESSION);
    // Functions with values of their own hold one another without end, and no limit counts them.
    for symbol in ["eval", "print", "debug", "curry"] {
        engine.disable_symbol(symbol);
    }
    for package in [
        ArithmeticPackage::new().as_shared_module(),
        LogicPackage::new().as_shared_module(),
        BasicMathPackage::new().as_shared_module(),
        BasicStringPackage::new().as_shared_module(),
        BasicIteratorPackage::new().as_shared_module(),
        BasicFnPackage::new().as_shared_module(),
        BasicArrayPackage::new().as_shared_module(),
        BasicMapPackage::new().as_shared_module(),
    ] {
        engine.register_global_module(package);
    }
    engine.on_progress(bounds::stopped);
    forbid_comparers(&mut engine);
    library::register(&mut engine);
    engine
}

/// An order that contradicts itself makes the standard library panic.
fn forbid_comparers(engine: &mut Engine) {
    type Nothing = Result<(), Box<EvalAltResult>>;
    for name in ["sort", "sort_desc", "order", "order_by", "sort_by"] {
        engine.register_fn(name, |_: &mut Array, _: FnPtr| -> Nothing {
            Err("arrays are sorted without a function".into())
        });
    }
}

/// Of one function.
const MOST_VARIABLES: usize = 64;
const MOST_FUNCTIONS: usize = 100;
/// Expressions within one another.
const DEEPEST_EXPRESSION: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    /// The interpreter would keep them behind a lock that all threads share, and sleep for 10 ms where it is held.
    #[test]
    fn no_texts_are_kept() {
        assert_eq!(engine(&Limits::default()).max_strings_interned(), 0);
    }
}
