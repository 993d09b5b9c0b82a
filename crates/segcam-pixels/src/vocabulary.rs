use std::fmt;

use segcam_core::{PixelSet, UnknownName};

use crate::{PixelAlgebra, parts};

/// A pixel set of any kind.
pub type AnySet<const D: usize = 4> = Box<dyn PixelSet<D>>;

type Read<const D: usize> =
    Box<dyn Fn(&mut Reader<D>) -> Result<AnySet<D>, SpecError> + Send + Sync>;

/// One word of the text form, and how what follows it is read.
pub struct Word<const D: usize = 4> {
    /// How it is written: `disc:y,x,r`. The word itself is its first letters.
    pub form: &'static str,
    /// What it means, in one line.
    pub help: &'static str,
    read: Read<D>,
    of_parts: bool,
}

impl<const D: usize> fmt::Debug for Word<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { form, help, of_parts, read: _ } = self;
        let mut word = f.debug_struct("Word");
        word.field("form", form).field("help", help).field("of_parts", of_parts);
        word.finish_non_exhaustive()
    }
}

impl<const D: usize> Word<D> {
    /// A new word; `read` gets what follows it.
    ///
    /// # Example
    /// ```
    /// use segcam_core::Prediction;
    /// use segcam_pixels::{Vocabulary, Word};
    ///
    /// let sure = Word::<4>::new("sure:p", "probability above p", |reader| {
    ///     let level = reader.colon()?.number("a probability")?;
    ///     Ok(Box::new(move |view: &Prediction, class| {
    ///         view.probability(class).greater_elem(level).float()
    ///     }))
    /// });
    /// let vocabulary = Vocabulary::new().with([sure]);
    /// assert!(vocabulary.parse("sure:0.9 & !border:4").is_ok());
    /// ```
    pub fn new(
        form: &'static str,
        help: &'static str,
        read: impl Fn(&mut Reader<D>) -> Result<AnySet<D>, SpecError> + Send + Sync + 'static,
    ) -> Self {
        Self { form, help, read: Box::new(read), of_parts: false }
    }

    /// Its sets consist of [`parts`](PixelSet::parts), each to be explained by itself: a text that
    /// would make one set of them, such as `!each`, is a [`SpecError`] whatever the prediction.
    pub fn of_parts(self) -> Self {
        Self { of_parts: true, ..self }
    }

    /// The word without what follows it.
    pub fn name(&self) -> &'static str {
        let end = self.form.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.form.len());
        &self.form[..end]
    }
}

/// The words that pixel sets in text form are made of.
///
/// ```text
/// set    = factor { ("&" | "|" | "-" | "^") factor }      from left to right
/// factor = "!" factor | "(" set ")" | word
/// word   = one of Vocabulary::words
/// ```
///
/// # Example
/// ```
/// use segcam_core::PixelSet;
/// use segcam_pixels::Vocabulary;
///
/// let vocabulary = Vocabulary::<4>::new();
/// let set = vocabulary.parse("class - dilate(pixel:70,16, 3)")?;
/// assert_eq!(set.name(), "class-dilate(pixel:70,16,3)");
///
/// let error = vocabulary.parse("class & pixle:3,4").err().expect("a typo");
/// assert_eq!(error.column, 9);
/// # Ok::<(), segcam_pixels::SpecError>(())
/// ```
#[derive(Debug)]
pub struct Vocabulary<const D: usize = 4> {
    words: Vec<Word<D>>,
    classes: Vec<String>,
}

impl<const D: usize> Default for Vocabulary<D> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const D: usize> Vocabulary<D> {
    /// The sets of this crate.
    pub fn new() -> Self {
        Self { words: crate::words::words(), classes: vec![] }
    }

    /// With more words. One that is known already is replaced.
    pub fn with(mut self, words: impl IntoIterator<Item = Word<D>>) -> Self {
        for word in words {
            self.words.retain(|known| known.name() != word.name());
            self.words.push(word);
        }
        self
    }

    /// With names that stand for class numbers, from 0.
    pub fn with_classes<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        Self { classes: names.into_iter().map(Into::into).collect(), ..self }
    }

    /// Every word.
    pub fn words(&self) -> &[Word<D>] {
        &self.words
    }

    /// Reads a pixel set.
    ///
    /// # Errors
    /// Says at which column what would have been right.
    pub fn parse(&self, text: &str) -> Result<AnySet<D>, SpecError> {
        let mut reader = Reader { vocabulary: self, text, at: 0, operators: 0, of_parts: false };
        let set = reader.set()?;
        match reader.peek() {
            None => Ok(set),
            Some(_) => Err(reader.fail("&, |, -, ^ or the end")),
        }
    }
}

/// A text that is no pixel set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}pixel set `{}`: {}{wanted}{}",
    // What is missing is missing for the whole set.
    if .missing.is_some() { String::new() } else { format!("column {column} of ") },
    Excerpt(.text, *.column),
    if .missing.is_some() { "" } else { "expected " },
    Form(*.form, .missing.is_some())
)]
#[non_exhaustive]
pub struct SpecError {
    /// The whole text.
    pub text: String,
    /// Where it went wrong, counted from 1 in characters.
    pub column: usize,
    /// What would have been right there.
    pub wanted: String,
    /// What the vocabulary was made without, if that is why: `annotation`.
    pub missing: Option<&'static str>,
    /// How the word is written in which it went wrong: `dilate(set,r)`.
    pub form: Option<&'static str>,
}

/// How a word is written, if more than the word is to be written and nothing else is missing.
struct Form(Option<&'static str>, bool);

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.filter(|form| form.contains(['(', ':']) && !self.1) {
            Some(form) => write!(f, ", as in {form}"),
            None => Ok(()),
        }
    }
}

/// The text, or of a long one what lies around the column.
struct Excerpt<'a>(&'a str, usize);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const AROUND: usize = 30;
        let start = self.1.saturating_sub(AROUND);
        let shown: String = self.0.chars().skip(start).take(2 * AROUND).collect();
        let before = if start > 0 { "…" } else { "" };
        let after = if start + 2 * AROUND < self.0.chars().count() { "…" } else { "" };
        write!(f, "{before}{shown}{after}")
    }
}

/// More operators than anyone writes, fewer than the stack can follow: sets are trees.
const MAX_OPERATORS: usize = 256;

/// Reads what follows a [`Word`]. Spaces are skipped before everything.
#[derive(Debug)]
pub struct Reader<'a, const D: usize = 4> {
    vocabulary: &'a Vocabulary<D>,
    text: &'a str,
    at: usize,
    operators: usize,
    /// Whether one of the sets that the current word has read consists of parts.
    of_parts: bool,
}

impl<'a, const D: usize> Reader<'a, D> {
    /// A colon.
    ///
    /// # Errors
    /// If something else follows; so do all the others.
    pub fn colon(&mut self) -> Result<&mut Self, SpecError> {
        self.symbol(':')
    }

    /// One symbol.
    pub fn symbol(&mut self, symbol: char) -> Result<&mut Self, SpecError> {
        if self.take_if(symbol) { Ok(self) } else { Err(self.fail(symbol)) }
    }

    /// One certain word.
    pub fn keyword(&mut self, word: &str) -> Result<&mut Self, SpecError> {
        self.peek();
        if !self.text[self.at..].starts_with(word) {
            return Err(self.fail(word));
        }
        self.at += word.len();
        Ok(self)
    }

    /// Whether the next symbol is this one; it is taken, if so.
    pub fn take_if(&mut self, symbol: char) -> bool {
        let found = self.peek() == Some(symbol);
        if found {
            self.at += symbol.len_utf8();
        }
        found
    }

    /// A whole number of at least `least`.
    pub fn whole(&mut self, least: usize) -> Result<usize, SpecError> {
        self.peek();
        let start = self.at;
        let digits = self.take(|c| c.is_ascii_digit());
        match digits.parse() {
            Ok(number) if number >= least => Ok(number),
            _ => {
                self.at = start;
                Err(self.fail(format!("a whole number of at least {least}")))
            }
        }
    }

    /// A whole number that the set's own type holds: at least `least`, at most `N`'s largest.
    ///
    /// # Example
    /// ```
    /// use segcam_core::PredictedClass;
    /// use segcam_pixels::{Vocabulary, Word};
    ///
    /// let word = Word::<4>::new("label:n", "a label of 8 bits", |reader| {
    ///     let _label: u8 = reader.colon()?.whole_as(1)?;
    ///     Ok(Box::new(PredictedClass))
    /// });
    /// let error = Vocabulary::new().with([word]).parse("label:256").err().expect("no 8 bits");
    /// assert_eq!(error.wanted, "a whole number of at least 1 that fits 8 bits");
    /// ```
    pub fn whole_as<N: TryFrom<usize>>(&mut self, least: usize) -> Result<N, SpecError> {
        self.peek();
        let start = self.at;
        // What usize cannot hold is too large for N, too.
        let number = self.whole(least).ok().and_then(|number| N::try_from(number).ok());
        number.ok_or_else(|| {
            self.at = start;
            let bits = 8 * size_of::<N>();
            self.fail(format!("a whole number of at least {least} that fits {bits} bits"))
        })
    }

    /// A number without a sign; `wanted` says what it is.
    pub fn number(&mut self, wanted: &str) -> Result<f64, SpecError> {
        self.peek();
        let start = self.at;
        let digits = self.take(|c| c.is_ascii_digit() || c == '.');
        digits.parse().map_err(|_| {
            self.at = start;
            self.fail(wanted)
        })
    }

    /// A number from 0 up to, but not including, 1.
    pub fn level(&mut self) -> Result<f64, SpecError> {
        const WANTED: &str = "a number of at least 0 and below 1";
        self.peek();
        let start = self.at;
        let level = self.number(WANTED)?;
        if level < 1.0 {
            return Ok(level);
        }
        self.at = start;
        Err(self.fail(WANTED))
    }

    /// A place `y,x`, or `z,y,x` in volumes.
    pub fn place(&mut self) -> Result<Vec<usize>, SpecError> {
        let mut place = vec![self.whole(0)?];
        while place.len() < D - 2 {
            if !self.take_if(',') {
                let place = if D == 4 { "y,x" } else { "z,y,x" };
                return Err(self.fail(format!("another number: a place is {place}")));
            }
            place.push(self.whole(0)?);
        }
        Ok(place)
    }

    /// Places separated by semicolons, at least `least`: `y,x;y,x`.
    pub fn places(&mut self, least: usize) -> Result<Vec<Vec<usize>>, SpecError> {
        let mut places = vec![self.place()?];
        while places.len() < least || self.peek() == Some(';') {
            self.symbol(';')?;
            places.push(self.place()?);
        }
        Ok(places)
    }

    /// A class: its number or its name.
    pub fn class(&mut self) -> Result<usize, SpecError> {
        if self.peek().is_some_and(|c| c.is_ascii_digit()) {
            return self.whole(0);
        }
        let start = self.at;
        let names = &self.vocabulary.classes;
        // Names may have spaces: the longest that fits.
        let rest = &self.text[start..];
        let fits = |name: &&String| rest.starts_with(name.as_str()) && !name.is_empty();
        if let Some(name) = names.iter().filter(fits).max_by_key(|name| name.len()) {
            self.at += name.len();
            return names
                .iter()
                .position(|known| known == name)
                .ok_or_else(|| self.fail("a class"));
        }
        let word = self.take(|c| c.is_alphanumeric() || c == '_' || c == '-');
        self.at = start;
        let wanted = match names.is_empty() {
            true => "the number of a class".to_string(),
            false => format!("a class: {}", UnknownName::new("class", word, names)),
        };
        Err(self.fail(wanted))
    }

    /// A set.
    pub fn set(&mut self) -> Result<AnySet<D>, SpecError> {
        let (set, of_parts) = self.combination()?;
        self.of_parts |= of_parts;
        Ok(set)
    }

    /// A set in parentheses, if there is one.
    pub fn set_if_any(&mut self) -> Result<Option<AnySet<D>>, SpecError> {
        if self.peek() != Some('(') {
            return Ok(None);
        }
        let set = self.open()?;
        self.symbol(')')?;
        Ok(Some(set))
    }

    /// `(set`, of a word that has more before its `)`.
    pub fn open(&mut self) -> Result<AnySet<D>, SpecError> {
        self.symbol('(')?.count_operator()?;
        self.set()
    }

    /// An error at this place.
    pub fn fail(&self, wanted: impl ToString) -> SpecError {
        let column = self.text[..self.at].chars().count() + 1;
        let (text, wanted) = (self.text.to_string(), wanted.to_string());
        SpecError { text, column, wanted, missing: None, form: None }
    }

    /// An error at this place: the word needs what the vocabulary was made without, such as
    /// `annotation`; `wanted` says it in words.
    pub fn fail_without(&self, missing: &'static str, wanted: impl ToString) -> SpecError {
        SpecError { missing: Some(missing), ..self.fail(wanted) }
    }

    /// A set, and whether it consists of parts.
    fn combination(&mut self) -> Result<(AnySet<D>, bool), SpecError> {
        let (mut left, mut of_parts) = self.factor()?;
        while let Some(symbol @ ('&' | '-' | '|' | '^')) = self.peek() {
            self.count_operator()?;
            if of_parts && matches!(symbol, '|' | '^') {
                return Err(self.fail_at_parts("& or -"));
            }
            self.at += 1;
            let start = self.at;
            let (right, right_of_parts) = self.factor()?;
            if right_of_parts && (of_parts || symbol != '&') {
                self.at = start;
                self.peek();
                return Err(self.fail_at_parts("a set without parts"));
            }
            of_parts |= right_of_parts;
            left = match symbol {
                '&' => Box::new(left.and(right)),
                '-' => Box::new(left.minus(right)),
                '^' => Box::new(left.xor(right)),
                _ => Box::new(left.or(right)),
            };
        }
        Ok((left, of_parts))
    }

    fn fail_at_parts(&self, wanted: &str) -> SpecError {
        self.fail(format!("{wanted}: {}", parts::TAKEN))
    }

    fn factor(&mut self) -> Result<(AnySet<D>, bool), SpecError> {
        if self.take_if('!') {
            self.count_operator()?;
            self.peek();
            let start = self.at;
            let (set, of_parts) = self.factor()?;
            if of_parts {
                self.at = start;
                return Err(self.fail_at_parts("a set without parts"));
            }
            return Ok((Box::new(set.not()), false));
        }
        if self.take_if('(') {
            self.count_operator()?;
            let found = self.combination()?;
            self.symbol(')')?;
            return Ok(found);
        }
        let start = self.at;
        let word = self.take(|c| c.is_ascii_alphabetic());
        let known = self.vocabulary.words.iter().find(|known| known.name() == word);
        let Some(known) = known else {
            self.at = start;
            let names = self.vocabulary.words.iter().map(Word::name);
            return Err(self.fail(match word.is_empty() {
                true => "a pixel set, ! or (".to_string(),
                false => format!("a pixel set: {}", UnknownName::new("pixel set", word, names)),
            }));
        };
        let outer = std::mem::take(&mut self.of_parts);
        let set = (known.read)(self)
            .map_err(|error| SpecError { form: error.form.or(Some(known.form)), ..error })?;
        let of_parts = known.of_parts | std::mem::replace(&mut self.of_parts, outer);
        Ok((set, of_parts))
    }

    fn count_operator(&mut self) -> Result<(), SpecError> {
        if self.operators == MAX_OPERATORS {
            return Err(self.fail("the end: a set may have 256 operators"));
        }
        self.operators += 1;
        Ok(())
    }

    /// The next character that is not a space.
    fn peek(&mut self) -> Option<char> {
        self.take(char::is_whitespace);
        self.text[self.at..].chars().next()
    }

    fn take(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }
}
