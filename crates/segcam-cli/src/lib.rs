//! The steps of the `segcam` program, for those who want them without its terminal: each is a function
//! from one value to the next.
//!
//! | step | from | to |
//! |---|---|---|
//! | [`read`](read::read) | bytes of an image or an array | [`Input`](read::Input) |
//! | [`ask`](ask::ask) | words, and an observation of the input | [`Question`](ask::Question) |
//! | [`explain`](explain::explain) | the question | [`Answer`](explain::Answer)s, one for each figure |
//! | [`draw`](draw::draw) | an answer | [`Drawn`](report::Drawn): files and numbers |
//! | [`write`](write::Folder::write) | a file | a file in a folder |
//!
//! Of a picture that is larger than memory [`slide`] takes all of them at once, row by row.
//!
//! [`Report`](report::Report) collects the numbers. [`measure`](measure::measure) takes the place of the
//! last steps where maps are judged, and [`Evaluation`](tables::Evaluation) that of the report.
//! [`Explaining`](batch::Explaining) takes all steps for each of many inputs, [`Page`](html::Page) puts
//! answers into one file to look at, and [`Studio`](studio::Studio) takes the steps for whoever asks through a page.
//! [`terminal`] is the program itself.

// The terminal calls the steps by the names that others call them.
extern crate self as segcam_cli;

pub mod annotations;
pub mod ask;
pub mod batch;
pub mod beside;
mod canvas;
pub mod columns;
pub mod draw;
mod drawing;
pub mod explain;
pub mod files;
mod grey;
pub mod html;
mod kinds;
mod legend;
mod masks;
pub mod measure;
pub mod network;
pub mod nuclei;
pub mod overview;
mod own_voxels;
pub mod print;
pub mod read;
pub mod report;
pub mod rows;
pub mod scan;
pub mod scene;
pub mod sets;
mod sidecars;
pub mod slide;
pub mod studio;
pub mod summary;
pub mod tables;
pub mod terminal;
pub mod view;
mod windows;
pub mod write;
