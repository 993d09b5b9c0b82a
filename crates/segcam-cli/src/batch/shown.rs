//! An input of a batch in its report.

use anyhow::Result;
use segcam_batch::{Item, Work};

use super::Explaining;
use crate::html::case::{Case, Room};
use crate::html::choice::Chosen;

impl<const D: usize> Explaining<'_, D> {
    /// What was chosen of an input, computed once more and not measured.
    ///
    /// # Errors
    /// What is wrong with the input, and pictures for which there is no room.
    pub fn case(&self, item: &Item, chosen: &Chosen, room: Room) -> Result<Case> {
        let files = self.files_beside(item)?;
        let (input, files) = self.read(item, files)?;
        let seen = self.explainer.observe(input.tensor.clone())?;
        let annotations = files.annotations.read(&input, &seen)?;
        let asked = self.asked_of(item);
        let (network, how) = ((&annotations, self.model), (&asked, &self.how));
        Case::of_chosen(chosen, (&input, &seen), network, how, room)
    }
}
