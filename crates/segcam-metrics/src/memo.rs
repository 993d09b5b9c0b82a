use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use crate::MetricError;

/// What several metrics or questions share, computed when the first of them asks. So a metric can
/// share what it likes, and nobody else needs to know of it.
#[derive(Debug, Default)]
pub(crate) struct Memo(RefCell<Vec<Box<dyn Any>>>);

type Known<K, T> = (K, Result<Rc<T>, MetricError>);

impl Memo {
    /// What `make` gave for this key and type when it was first asked for: a value, or why there is
    /// none. What ends it all is not kept.
    pub(crate) fn once<K: PartialEq + 'static, T: 'static>(
        &self,
        key: K,
        make: impl FnOnce() -> Result<T, MetricError>,
    ) -> Result<Rc<T>, MetricError> {
        let known = self.0.borrow().iter().find_map(|known| {
            let (of, found): &Known<K, T> = known.downcast_ref()?;
            (*of == key).then(|| found.clone())
        });
        // Not while borrowed: `make` may ask for something else.
        known.unwrap_or_else(|| {
            let found = make().map(Rc::new);
            if !found.as_ref().is_err_and(MetricError::ends_it_all) {
                self.0.borrow_mut().push(Box::new((key, found.clone())));
            }
            found
        })
    }
}
