use crate::{Request, Wanted};

/// The gradients that requests need: each target once, with each of its layers once, and who asks for them.
///
/// # Example
/// ```no_run
/// # use segcam_core::*;
/// # fn example(requests: &[Request], pass: &dyn Pass) -> Result<(), CamError> {
/// let walks = Walks::of(requests.iter().enumerate());
/// pass.gradients(&walks.wanted, &mut |target, layer, found| {
///     for &request in &walks.asking[target][layer] {
///         let (map, _) = found.combined(requests[request].method())?;
///         println!("{:?}", map.dims());
///     }
///     Ok(())
/// })
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Walks<'a, const D: usize = 4> {
    /// What a pass is asked.
    pub wanted: Vec<Wanted<'a, D>>,
    /// Of each target and each of its layers the numbers of the requests that want them.
    pub asking: Vec<Vec<Vec<usize>>>,
}

impl<'a, const D: usize> Walks<'a, D> {
    /// Of requests and their numbers.
    pub fn of<'r>(requests: impl IntoIterator<Item = (usize, &'r Request<'a, D>)>) -> Self
    where
        'a: 'r,
    {
        let (mut wanted, mut asking): (Vec<Wanted<D>>, Vec<Vec<Vec<usize>>>) = (vec![], vec![]);
        for (number, request) in requests {
            let (target, layer) = (request.target(), request.layer());
            let place = wanted.iter().position(|wanted| wanted.target == *target);
            let place = place.unwrap_or_else(|| {
                wanted.push(Wanted { target: target.clone(), layers: vec![] });
                asking.push(vec![]);
                wanted.len() - 1
            });
            let layers = &mut wanted[place].layers;
            let of_layer = layers.iter().position(|known| *known == layer).unwrap_or_else(|| {
                layers.push(layer);
                asking[place].push(vec![]);
                layers.len() - 1
            });
            asking[place][of_layer].push(number);
        }
        Self { wanted, asking }
    }
}
