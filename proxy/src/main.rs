//! Veil, the program.

#[cfg(feature = "worker")]
use blur_service::clearing::Clearing;
use veil::heap::Counted;

/// A request costs some hundred small allocations; this allocator makes them cheaper than the C library's, and gives
/// memory back after a burst.
#[cfg(not(feature = "worker"))]
#[global_allocator]
static ALLOCATOR: Counted<mimalloc::MiMalloc> = Counted(mimalloc::MiMalloc);

/// The same; where the program runs as a worker, what is given back is cleared.
#[cfg(feature = "worker")]
#[global_allocator]
static ALLOCATOR: Counted<Clearing<mimalloc::MiMalloc>> = Counted(Clearing(mimalloc::MiMalloc));

fn main() -> std::process::ExitCode {
    // By whoever builds packages; `cargo` does not know.
    veil::cli::main(option_env!("VEIL_COMMIT"))
}
