//! Veil, the program.

#[cfg(feature = "worker")]
use blur_service::clearing::Clearing;
use veil::heap::{Counted, Mimalloc};

/// A request costs some hundred small allocations; this allocator makes them cheaper than the C library's, and gives
/// memory back after a burst.
#[cfg(not(feature = "worker"))]
#[global_allocator]
static ALLOCATOR: Counted<Mimalloc> = Counted(Mimalloc);

/// The same; where the program runs as a worker, what is given back is cleared.
#[cfg(feature = "worker")]
#[global_allocator]
static ALLOCATOR: Counted<Clearing<Mimalloc>> = Counted(Clearing(Mimalloc));

fn main() -> std::process::ExitCode {
    // By whoever builds packages; `cargo` does not know.
    veil::cli::main(option_env!("VEIL_COMMIT"))
}
