//! The desk as JavaScript sees it.

use wasm_bindgen::prelude::*;

use crate::{Desk, WebError};

/// A network in a page. Errors are JSON: `status`, `error`, `column`.
#[wasm_bindgen(js_name = Desk)]
#[derive(Debug)]
pub struct PageDesk(Desk);

type Answered<T> = Result<T, JsValue>;

fn said<T>(result: Result<T, WebError>) -> Answered<T> {
    result.map_err(|error| error.to_json().into())
}

#[wasm_bindgen(js_class = Desk)]
impl PageDesk {
    /// See [`Desk::new`].
    #[wasm_bindgen(constructor)]
    pub fn new(name: String, onnx: Vec<u8>, card: Option<String>) -> Answered<Self> {
        said(Desk::new(name, onnx, card.as_deref())).map(Self)
    }

    /// See [`Desk::about`].
    pub fn about(&self) -> String {
        self.0.about()
    }

    /// See [`Desk::look`].
    pub fn look(&mut self, id: String, name: &str, bytes: &[u8]) -> Answered<String> {
        said(self.0.look(id, name, bytes))
    }

    /// See [`Desk::picture`].
    pub fn picture(&self, id: &str) -> Answered<Vec<u8>> {
        said(self.0.picture(id))
    }

    /// See [`Desk::labels`].
    pub fn labels(&self, id: &str) -> Answered<Vec<u16>> {
        said(self.0.labels(id))
    }

    /// See [`Desk::ask`].
    pub fn ask(&mut self, question: &str) -> Answered<String> {
        said(self.0.ask(question))
    }

    /// See [`Desk::certify`].
    pub fn certify(&self, answer: &str) -> Answered<String> {
        said(self.0.certify(answer))
    }

    /// See [`Desk::map`].
    pub fn map(&self, answer: &str, number: usize) -> Answered<Vec<f32>> {
        said(self.0.map(answer, number))
    }

    /// See [`Desk::pixels`].
    pub fn pixels(&self, answer: &str) -> Answered<Vec<u8>> {
        said(self.0.pixels(answer))
    }
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn error(words: &str);
}

/// A panic cannot be caught in WebAssembly: what it says goes to the console, from where the worker takes it
/// before it starts anew.
#[wasm_bindgen(start)]
pub(crate) fn start() {
    std::panic::set_hook(Box::new(|panic| error(&panic.to_string())));
}
