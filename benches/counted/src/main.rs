//! `outrigger-counted`: the sidecar with an allocator that counts. When it ends it says on standard
//! error how often memory was asked for: `allocations: N`.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use outrigger::{cli, commands};

#[global_allocator]
static COUNTED: Counted = Counted;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, counting.
struct Counted;

// SAFETY: every method hands its arguments to the system's allocator and returns what that returns.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the contract of this method, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let code = match cli::parse(&words, &|name| std::env::var(name).ok()) {
        Ok(command) => commands::execute(command),
        Err(error) => commands::refuse(error),
    };
    eprintln!("allocations: {}", ALLOCATIONS.load(Relaxed));
    ExitCode::from(code)
}
