//! Operations that nothing describes.

use crate::client::Client;
use crate::run::Stop;
use crate::{Operation, ScanOptions};

pub(super) struct Discovered {
    pub(super) operations: Vec<Operation>,
    pub(super) notes: Vec<String>,
}

pub(super) async fn discover(
    _options: &ScanOptions,
    _client: &Client,
    _known: &[Operation],
) -> Result<Discovered, Stop> {
    Ok(Discovered {
        operations: Vec::new(),
        notes: Vec::new(),
    })
}
