use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use burn::backend::ir::{HandleKind, IrVisitorMut, OperationIr, TensorId, TensorIr, TensorStatus};
use burn::backend::{Backend, Dispatch, get_device_settings};
use burn::tensor::TensorData;

use crate::host::Prepared;
use crate::{Convolutions, GraphError};

/// What a constant is: its content, or an operation and the recipes of what that reads. 128 bits, so
/// that two constants with one recipe are the same for all practical purposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Recipe(u128);

impl Recipe {
    fn new(hash: impl Fn(&mut DefaultHasher)) -> Self {
        let half = |number: u8| {
            let mut hasher = DefaultHasher::new();
            number.hash(&mut hasher);
            hash(&mut hasher);
            u128::from(hasher.finish())
        };
        Self(half(0) << 64 | half(1))
    }

    fn of_data(data: &TensorData) -> Self {
        Self::new(|hasher| {
            ("data", data.dtype(), data.shape().as_slice()).hash(hasher);
            data.as_bytes().hash(hasher);
        })
    }

    /// The result with id `out` of an operation on constants.
    pub(crate) fn of_operation(operation: &OperationIr, inputs: &[Self], out: TensorId) -> Self {
        let place = operation.outputs().position(|other| other.id == out);
        let mut nameless = operation.clone();
        nameless.visit_mut(&mut Nameless);
        Self::new(|hasher| ("operation", &nameless, inputs, place).hash(hasher))
    }

    /// The weights of a convolution for its transpose.
    pub(crate) fn transposed(self, groups: usize) -> Self {
        Self::new(|hasher| ("transposed", self, groups).hash(hasher))
    }
}

/// Takes from an operation what differs from one capture to the next.
struct Nameless;

impl IrVisitorMut for Nameless {
    fn visit_tensor_mut(&mut self, tensor: &mut TensorIr) {
        tensor.id = TensorId::new(0);
        tensor.status = TensorStatus::NotInit;
    }
}

/// A constant of a graph. All graphs of this process that hold the same values share them.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) data: Arc<TensorData>,
    pub(crate) recipe: Recipe,
}

impl Held {
    pub(crate) fn new(data: TensorData) -> Self {
        type Shared = Mutex<HashMap<Recipe, Weak<TensorData>>>;
        static HELD: LazyLock<Shared> = LazyLock::new(Mutex::default);
        let recipe = Recipe::of_data(&data);
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(data) = held.get(&recipe).and_then(Weak::upgrade) {
            return Self { data, recipe };
        }
        held.retain(|_, data| data.strong_count() > 0);
        let data = Arc::new(data);
        held.insert(recipe, Arc::downgrade(&data));
        Self { data, recipe }
    }
}

/// A value on a device, shared by the networks that need it.
pub(crate) type Shared<B> = Arc<HandleKind<B>>;

/// A constant on a device.
pub(crate) struct Constant<B: Backend> {
    pub(crate) recipe: Recipe,
    pub(crate) value: Shared<B>,
}

/// The constants of networks, by what they are: the same model captured at several input shapes
/// uploads, folds and transposes its weights once. What no network needs any more is released.
///
/// Clones share what they hold.
pub struct Constants<B: Backend = Dispatch>(Arc<Store<B>>);

struct Store<B: Backend> {
    known: Mutex<HashMap<Recipe, Vec<Place<B>>>>,
    made: AtomicUsize,
    convolutions: Convolutions,
    prepared: Prepared,
}

/// Where a constant is.
struct Place<B: Backend> {
    device: B::Device,
    value: Weak<HandleKind<B>>,
}

impl<B: Backend> Default for Constants<B> {
    fn default() -> Self {
        Self::new(Convolutions::default())
    }
}

impl<B: Backend> Clone for Constants<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B: Backend> fmt::Debug for Constants<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Constants").field("made", &self.made()).finish_non_exhaustive()
    }
}

impl<B: Backend> Constants<B> {
    /// None yet, for networks whose convolutions are computed so.
    pub fn new(convolutions: Convolutions) -> Self {
        let (known, made, prepared) = Default::default();
        Self(Arc::new(Store { known, made, convolutions, prepared }))
    }

    pub(crate) fn convolutions(&self) -> Convolutions {
        self.0.convolutions
    }

    pub(crate) fn prepared(&self) -> &Prepared {
        &self.0.prepared
    }

    /// How many constants were uploaded or computed so far.
    pub fn made(&self) -> usize {
        self.0.made.load(Ordering::Relaxed)
    }

    pub(crate) fn get_or_make(
        &self,
        recipe: Recipe,
        device: &B::Device,
        make: impl FnOnce() -> Result<HandleKind<B>, GraphError>,
    ) -> Result<Shared<B>, GraphError> {
        let known = || self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        let here = |place: &Place<B>| (place.device == *device).then(|| place.value.upgrade());
        let here = |places: &Vec<Place<B>>| places.iter().find_map(|place| here(place).flatten());
        let found = known().get(&recipe).and_then(here);
        if let Some(found) = found {
            return Ok(found);
        }
        // Not under the lock: what it is made of is in the store, too.
        let value = Arc::new(make()?);
        self.0.made.fetch_add(1, Ordering::Relaxed);
        let mut known = known();
        known.retain(|_, places| {
            places.retain(|place| place.value.strong_count() > 0);
            !places.is_empty()
        });
        let place = Place { device: device.clone(), value: Arc::downgrade(&value) };
        known.entry(recipe).or_default().push(place);
        Ok(value)
    }
}

/// The constants of a network that is being made: nothing is on the device yet, and operations on
/// constants are not computed, as the store may know their results.
pub(crate) struct Pending {
    data: BTreeMap<TensorId, Held>,
    /// The operation behind each constant that is to be computed.
    computed: HashMap<TensorId, Arc<OperationIr>>,
    recipes: HashMap<TensorId, Recipe>,
}

impl Pending {
    pub(crate) fn new(data: BTreeMap<TensorId, Held>) -> Self {
        let recipes = data.iter().map(|(id, held)| (*id, held.recipe)).collect();
        Self { data, computed: HashMap::new(), recipes }
    }

    pub(crate) fn contains(&self, id: TensorId) -> bool {
        self.recipes.contains_key(&id)
    }

    /// Puts an operation whose inputs are all constant aside.
    pub(crate) fn compute_later(&mut self, operation: OperationIr) {
        let inputs: Vec<Recipe> =
            operation.inputs().filter_map(|tensor| self.recipes.get(&tensor.id)).copied().collect();
        let operation = Arc::new(operation);
        for out in operation.outputs() {
            self.recipes.insert(out.id, Recipe::of_operation(&operation, &inputs, out.id));
            self.computed.insert(out.id, operation.clone());
        }
    }

    /// Makes those constants that `needed` names.
    pub(crate) fn make<B: Backend>(
        self,
        needed: impl Fn(TensorId) -> bool,
        device: &B::Device,
        store: &Constants<B>,
    ) -> Result<HashMap<TensorId, Constant<B>>, GraphError> {
        let ids: Vec<TensorId> = self.recipes.keys().copied().filter(|id| needed(*id)).collect();
        let mut all = HashMap::new();
        for id in ids {
            // What leads to one constant goes before the next is made.
            let constant = self.one(id, device, store, &mut HashMap::new())?;
            all.insert(id, constant);
        }
        Ok(all)
    }

    fn one<B: Backend>(
        &self,
        id: TensorId,
        device: &B::Device,
        store: &Constants<B>,
        made: &mut HashMap<TensorId, Constant<B>>,
    ) -> Result<Constant<B>, GraphError> {
        let recipe = self.recipes[&id];
        let make = || {
            let Some(operation) = self.computed.get(&id) else {
                return upload::<B>(&self.data[&id].data, device);
            };
            for input in operation.inputs() {
                if !made.contains_key(&input.id) {
                    let constant = self.one(input.id, device, store, made)?;
                    made.insert(input.id, constant);
                }
            }
            crate::env::compute(operation, id, device, made, store)
        };
        Ok(Constant { recipe, value: store.get_or_make(recipe, device, make)? })
    }
}

fn upload<B: Backend>(data: &TensorData, device: &B::Device) -> Result<HandleKind<B>, GraphError> {
    let settings = get_device_settings::<B>(device);
    let (data, dtype) = (data.clone(), data.dtype());
    if dtype.is_float() {
        Ok(HandleKind::Float(B::float_from_data(data, device)))
    } else if dtype.is_int() || dtype.is_uint() {
        let data = data.convert_dtype(settings.int_dtype.into());
        Ok(HandleKind::Int(B::int_from_data(data, device)))
    } else if dtype.is_bool() {
        let data = data.convert_dtype(settings.bool_dtype.into());
        Ok(HandleKind::Bool(B::bool_from_data(data, device)))
    } else {
        Err(GraphError::Unsupported { operation: format!("{dtype:?} values") })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn what_no_network_needs_is_forgotten() {
        let (store, device) = (Constants::<Dispatch>::default(), Device::flex());
        let device = device.as_dispatch();
        let constant = |value: f32| {
            let data = TensorData::from([value]);
            let recipe = Recipe::of_data(&data);
            store.get_or_make(recipe, device, || upload::<Dispatch>(&data, device)).expect("made")
        };
        let [one, two] = [1.0, 2.0].map(constant);
        assert!(Arc::ptr_eq(&one, &constant(1.0)) && !Arc::ptr_eq(&one, &two));
        let known = || store.0.known.lock().expect("no panic").len();
        assert_eq!((store.made(), known()), (2, 2));
        drop(one);
        let _three = constant(3.0);
        assert_eq!((store.made(), known()), (3, 2));
        assert!(format!("{store:?}").contains("made: 3"));
    }
}
