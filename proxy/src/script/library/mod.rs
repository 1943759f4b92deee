//! The functions and variables that scripts have beside the language's own. Each file is a group of them, and conf/programming.md
//! lists them all with an example that the tests run.

mod answers;
mod crypto;
mod expression;
mod network;
mod outcome;
mod remembered;
mod requests;
mod text;
mod unlike;

use rhai::Engine;

pub use self::answers::{Response, status};
pub use self::crypto::bucket;
pub use self::expression::{is_found, prepare};
pub use self::network::networks;
pub use self::remembered::time;
pub use self::requests::{Request, Variable, variables};
pub use self::text::{OfAText, length, of_a_text};

pub fn register(engine: &mut Engine) {
    text::register(engine);
    network::register(engine);
    crypto::register(engine);
    requests::register(engine);
    answers::register(engine);
    remembered::register(engine);
    unlike::register(engine);
}
