//! `marcato backup` and `marcato restore`: verified copies of a collection, and collections from copies.

use anyhow::Result;
use marcato::Collection;

use crate::args::{Backup, Restore};
use crate::open;

pub(crate) fn run(args: &Backup) -> Result<()> {
    let collection = open::for_reading(&args.collection, || Ok(open::without_encoder()))?;
    collection.backup(&args.destination)?;
    eprintln!("{} passages copied to {}", collection.len(), args.destination.display());
    Ok(())
}

pub(crate) fn restore(args: &Restore) -> Result<()> {
    Collection::restore(&args.backup, &args.collection)?;
    eprintln!("restored {} from {}", args.collection.display(), args.backup.display());
    Ok(())
}
