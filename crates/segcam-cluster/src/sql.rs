use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use url::Url;

use crate::Place;

/// Registers tables of batches, files or objects of stores, all of them together, as the table `maps`.
///
/// # Errors
/// Files that cannot be read, or are no Parquet.
pub async fn maps(context: &SessionContext, tables: &[PathBuf]) -> Result<()> {
    let url = |path: &PathBuf| {
        if let Some(place) = Place::of(path)? {
            let (bucket, store) = place.bucket();
            context.register_object_store(&Url::parse(&bucket)?, store);
            return Ok(place.url());
        }
        let name = || format!("cannot use {}", path.display());
        let path = path.canonicalize().with_context(name)?;
        // A URL has no pattern in it.
        Ok(Url::from_file_path(path).map_err(|()| anyhow!(name()))?.to_string())
    };
    let urls = tables.iter().map(url).collect::<Result<Vec<_>>>()?;
    let options = ParquetReadOptions { file_extension: "", ..ParquetReadOptions::default() };
    let maps = context.read_parquet(urls, options).await?;
    context.register_table("maps", maps.into_view())?;
    Ok(())
}
