//! Memory for inputs that are computed at the same time.

use std::sync::{Condvar, Mutex, PoisonError};

/// Memory for further inputs.
pub(crate) struct Room {
    limit: Option<usize>,
    state: Mutex<RoomState>,
    left: Condvar,
}

#[derive(Default)]
struct RoomState {
    /// Inputs that are being computed.
    inside: usize,
    /// The most that the process took while one alone was computed, beyond what it took before.
    each: usize,
}

impl Room {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self { limit, state: Mutex::default(), left: Condvar::new() }
    }

    /// Waits until one more fits, or nothing else is computed.
    pub(crate) fn take(&self) -> Taken<'_> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(limit) = self.limit
            && state.inside > 0
            && self.taken() + state.each > limit
        {
            state = self.left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.inside += 1;
        Taken { room: self, before: self.taken() }
    }

    /// What the process takes, in bytes; 0 where nobody asks or the system does not say.
    fn taken(&self) -> usize {
        let stats = self.limit.and_then(|_| memory_stats::memory_stats());
        stats.map_or(0, |stats| stats.physical_mem)
    }
}

/// A place in the [`Room`].
pub(crate) struct Taken<'a> {
    room: &'a Room,
    before: usize,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let taken = self.room.taken();
        let mut state = self.room.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.each = state.each.max(taken.saturating_sub(self.before));
        state.inside -= 1;
        self.room.left.notify_all();
    }
}
