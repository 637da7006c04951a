//! An allocator that never frees: an instance lives for one event, and its memory goes with it.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr;

const PAGE: usize = 65_536;

/// Hands out memory from the end of the linear memory, growing it in steps.
struct Bump {
    next: Cell<usize>,
    end: Cell<usize>,
}

// SAFETY: a module built for wasm32-unknown-unknown has one thread.
unsafe impl Sync for Bump {}

#[global_allocator]
static BUMP: Bump = Bump { next: Cell::new(0), end: Cell::new(0) };

impl Bump {
    /// Makes room up to `end`; false if the host refuses.
    fn reach(&self, end: usize) -> bool {
        if end <= self.end.get() {
            return true;
        }
        let missing = (end - self.end.get()).div_ceil(PAGE);
        let before = std::arch::wasm32::memory_grow::<0>(missing);
        if before == usize::MAX {
            return false;
        }
        // Nobody else grows the memory, but should somebody, what lies between is skipped.
        if before * PAGE != self.end.get() {
            self.next.set(before * PAGE);
        }
        self.end.set((before + missing) * PAGE);
        end <= self.end.get()
    }
}

// SAFETY: blocks are handed out once and never taken back, so they do not overlap; each starts at a multiple of its
// alignment and ends within the memory that `memory_grow` has granted.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        loop {
            let Some(start) = self.next.get().checked_next_multiple_of(layout.align()) else { break };
            let Some(end) = start.checked_add(layout.size()) else { break };
            if start != 0 && end <= self.end.get() {
                self.next.set(end);
                return start as *mut u8;
            }
            // Growing may move `next`, so the place is looked for again.
            if !self.reach(end.max(PAGE)) {
                break;
            }
        }
        ptr::null_mut()
    }

    unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {}

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block as usize;
        let old_end = start + layout.size();
        let is_last = |bump: &Self| bump.next.get() == old_end;
        // Growing may move `next`, and then the block is the last one no more.
        if is_last(self) && start.checked_add(size).is_some_and(|end| self.reach(end)) && is_last(self) {
            self.next.set(start + size);
            return block;
        }
        if size <= layout.size() {
            return block;
        }
        // SAFETY: the caller's layout is valid, and so is one with the same alignment that has passed `alloc`.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: the blocks do not overlap, and the old one is the smaller.
            unsafe { ptr::copy_nonoverlapping(block, new, layout.size()) };
        }
        new
    }
}
