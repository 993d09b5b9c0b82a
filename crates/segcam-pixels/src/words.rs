use segcam_core::{AllPixels, Finer, PredictedClass};

use crate::{
    AnySet, Border, ClassIs, Contrast, Disc, Morphology, Pixel, Points, Polygon, Random, Reader,
    Region, Soft, SpecError, Threshold, Top, Uncertain, Uncertainty, Word,
};

/// The sets of this crate in text form.
pub(crate) fn words<const D: usize>() -> Vec<Word<D>> {
    let mut words = vec![
        Word::new("all", "every pixel", |_| Ok(Box::new(AllPixels))),
        Word::new("class", "predicted as the class asked about; class:N as class N", |reader| {
            match reader.take_if(':') {
                true => Ok(Box::new(ClassIs(reader.class()?))),
                false => Ok(Box::new(PredictedClass)),
            }
        }),
        Word::new("threshold:p", "probability of the class above p", |reader| {
            Ok(Box::new(Threshold(reader.colon()?.level()?)))
        }),
        Word::new("soft", "every pixel, weighted by its probability of the class", |_| {
            Ok(Box::new(Soft))
        }),
        Word::new("top:k", "the k most confident pixels of the class", |reader| {
            Ok(Box::new(Top(reader.colon()?.whole(1)?)))
        }),
        uncertain("entropy:e", "entropy of the classes above e (0 to 1)", Uncertainty::Entropy),
        uncertain("margin:m", "1 − (p₁ − p₂) of the two likeliest above m", Uncertainty::Margin),
        uncertain("leastconfidence:l", "1 − p₁ above l", Uncertainty::LeastConfidence),
        Word::new("contrast:d", "why the class and not class d; contrast(set,d)", |reader| {
            if reader.take_if(':') {
                return Ok(Box::new(Contrast::with(reader.class()?)));
            }
            let set = reader.open()?;
            let other = reader.symbol(',')?.class()?;
            reader.symbol(')')?;
            Ok(Box::new(Contrast::with(other).within(set)))
        }),
        Word::new(
            "finer:n",
            "why the class and not the n most like it; finer(set,n,γ)",
            |reader| {
                const STRENGTH: &str = "a strength γ of 0 or more";
                if reader.take_if(':') {
                    return Ok(Box::new(Finer::against(reader.whole(1)?, 0.6)));
                }
                let set = reader.open()?;
                let references = reader.symbol(',')?.whole(1)?;
                let strength = if reader.take_if(',') { reader.number(STRENGTH)? } else { 0.6 };
                reader.symbol(')')?;
                Ok(Box::new(Finer::against(references, strength).within(set)))
            },
        ),
        Word::new("pixel:y,x", "one pixel", |reader| {
            Ok(Box::new(Pixel::new(reader.colon()?.place()?)))
        }),
        Word::new("points:y,x;…", "several pixels", |reader| {
            Ok(Box::new(Points::new(reader.colon()?.places(1)?)))
        }),
        Word::new("box:y0,x0,y1,x1", "rows y0 to y1−1, columns x0 to x1−1", |reader| {
            let start = reader.colon()?.place()?;
            let end = reader.symbol(',')?.place()?;
            if start.iter().zip(&end).any(|(start, end)| start >= end) {
                let wanted = "a last corner that lies beyond the first in every direction";
                return Err(reader.fail(wanted));
            }
            Ok(Box::new(Region::new(start, end)))
        }),
        Word::new("disc:y,x,r", "within r pixels of one", |reader| {
            let centre = reader.colon()?.place()?;
            let radius = reader.symbol(',')?.number("a radius in pixels")?;
            Ok(Box::new(Disc::new(centre, radius)))
        }),
        Word::new("random:n,seed", "n pixels drawn at random", |reader| {
            let count = reader.colon()?.whole(1)?;
            let seed = reader.symbol(',')?.whole(0)?;
            Ok(Box::new(Random::new(count, seed as u64)))
        }),
        Word::new("border:w", "within w pixels of the image's edge", |reader| {
            Ok(Box::new(Border(reader.colon()?.whole(1)?)))
        }),
        morphology("dilate(set,r)", "within r pixels of the set", 0, Morphology::dilate),
        morphology("erode(set,r)", "farther than r pixels from outside it", 0, Morphology::erode),
        morphology("open(set,r)", "eroded, then dilated: without specks", 0, Morphology::open),
        morphology("close(set,r)", "dilated, then eroded: holes filled", 0, Morphology::close),
        morphology("inner(set,w)", "in the set, within w pixels of its edge", 1, Morphology::inner),
        morphology("outer(set,w)", "outside, within w pixels of its edge", 1, Morphology::outer),
        morphology("band(set,w)", "within w pixels of its edge on both sides", 1, Morphology::band),
    ];
    if D == 4 {
        words.push(Word::new("polygon:y,x;…", "inside a polygon or on its edge", |reader| {
            let corners = reader.colon()?.places(3)?;
            let corners: Vec<[usize; 2]> = corners.iter().map(|at| [at[0], at[1]]).collect();
            Ok(Box::new(Polygon::new(corners)))
        }));
    }
    words
}

fn uncertain<const D: usize>(
    form: &'static str,
    help: &'static str,
    measure: Uncertainty,
) -> Word<D> {
    Word::new(form, help, move |reader| {
        Ok(Box::new(Uncertain::above(measure, reader.colon()?.level()?)))
    })
}

fn morphology<const D: usize>(
    form: &'static str,
    help: &'static str,
    least: usize,
    make: fn(AnySet<D>, usize) -> Morphology<AnySet<D>>,
) -> Word<D> {
    let read = move |reader: &mut Reader<D>| -> Result<AnySet<D>, SpecError> {
        let set = reader.open()?;
        let by = reader.symbol(',')?.whole(least)?;
        reader.symbol(')')?;
        Ok(Box::new(make(set, by)))
    };
    Word::new(form, help, read)
}
