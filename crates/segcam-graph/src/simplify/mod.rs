//! Passes that make a graph shorter. Each keeps every named value.

mod batch_norm;
mod constants;
mod dead;
mod parts;
mod take_apart;

pub(crate) use batch_norm::fold_batch_norm;
pub(crate) use constants::fold_constants;
pub(crate) use dead::drop_dead;
pub(crate) use take_apart::take_apart;
