//! Veil, the program.

/// A request costs some hundred small allocations; this allocator makes them cheaper than the C library's, and gives
/// memory back after a burst.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    veil::cli::main()
}
