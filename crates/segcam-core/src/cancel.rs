use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::CamError;

/// Stops a long run from another thread: give a clone to [`Explainer::with_cancel`] or
/// [`Observation::with_cancel`].
///
/// [`Explainer::with_cancel`]: crate::Explainer::with_cancel
/// [`Observation::with_cancel`]: crate::Observation::with_cancel
///
/// # Example
/// ```no_run
/// # use segcam_core::*;
/// # fn example(seen: Observation) -> Result<(), CamError> {
/// let cancel = Cancel::default();
/// let seen = seen.with_cancel(&cancel);
/// std::thread::scope(|scope| {
///     let map = scope.spawn(|| seen.explain(&Seg::of(ScoreCam, PredictedClass), "mid", 1));
///     cancel.cancel();
///     assert!(matches!(map.join(), Ok(Err(CamError::Cancelled))));
/// });
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Whatever was given a clone ends with [`CamError::Cancelled`](crate::CamError::Cancelled) as
    /// soon as its current pass is over. There is no way back.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn expect_going_on(&self) -> Result<(), CamError> {
        if self.is_cancelled() { Err(CamError::Cancelled) } else { Ok(()) }
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
