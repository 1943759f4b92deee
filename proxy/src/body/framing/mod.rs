//! Strict HTTP/1 framing (RFC 9112), checked on the wire before Pingora reads a byte: what two readers could take for
//! two different requests is refused, never repaired.

mod chunked;
mod head;
mod lines;
mod respelling;
mod syntax;
mod violation;
mod wire;

pub use chunked::Chunked;
pub use head::MOST_FIELDS;
pub use violation::Violation;
pub use wire::{FLOOD, HeadLimits, Next, RefusedHead, Watch, Wire};
