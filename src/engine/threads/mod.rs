//! Shares the pieces of what is computed on the processor among its threads.

pub mod team;

use std::marker::PhantomData;

/// The browser's threads; without atomics in the build no helper ever comes, and the leader does everything.
#[cfg(target_arch = "wasm32")]
pub static TEAM: team::Team = team::Team::new();

/// Threads that compute.
pub fn count() -> usize {
    #[cfg(not(target_arch = "wasm32"))]
    return rayon::current_num_threads();
    #[cfg(target_arch = "wasm32")]
    return TEAM.threads() as usize;
}

/// Calls `piece(0), …, piece(n - 1)`, each once, in any order and on any thread.
pub fn for_each(n: usize, piece: impl Fn(usize) + Sync + Send) {
    #[cfg(not(target_arch = "wasm32"))]
    {
        use rayon::prelude::*;
        (0..n).into_par_iter().for_each(piece);
    }
    #[cfg(target_arch = "wasm32")]
    TEAM.run(n, &piece);
}

/// Calls `piece(index, chunk)` for all chunks of `size` values (the last may be shorter), each once, on any thread.
pub fn for_each_chunk<T: Send>(values: &mut [T], size: usize, piece: impl Fn(usize, &mut [T]) + Sync + Send) {
    let len = values.len();
    if len <= size {
        return if len > 0 {
            piece(0, values)
        };
    }
    let parts = Parts::of(values);
    for_each(len.div_ceil(size), |index| {
        let start = index * size;
        // SAFETY: chunks don't overlap, and each index comes once
        piece(index, unsafe { parts.slice(start, size.min(len - start)) });
    });
}

/// A slice that several pieces write to at once, each to places of its own.
pub struct Parts<'a, T = f32> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

impl<T> Clone for Parts<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Parts<'_, T> {}

// SAFETY: access goes through unsafe functions whose callers see that no place is used by two threads
unsafe impl<T: Send> Send for Parts<'_, T> {}
// SAFETY: as above
unsafe impl<T: Send> Sync for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    pub fn of(slice: &'a mut [T]) -> Self {
        Parts { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// Where the values from `start` on lie: for a tile, whose rows leave room for other pieces' between them.
    pub fn pointer(&self, start: usize, len: usize) -> *mut T {
        assert!(start <= self.len && len <= self.len - start, "a part must lie within its slice");
        self.start.wrapping_add(start)
    }

    /// The values from `start` on.
    ///
    /// # Safety
    /// While the result lives, nothing else may use these places.
    #[allow(clippy::mut_from_ref)] // that is what this is for
    pub unsafe fn slice(&self, start: usize, len: usize) -> &'a mut [T] {
        // SAFETY: within the slice, as `pointer` checks; exclusive by the caller's promise
        unsafe { std::slice::from_raw_parts_mut(self.pointer(start, len), len) }
    }
}
