//! The two directions of a channel, seen from its far end.

use tokio::io::{BufReader, DuplexStream, ReadHalf, WriteHalf};

pub type Reader = BufReader<ReadHalf<DuplexStream>>;
pub type Writer = WriteHalf<DuplexStream>;
