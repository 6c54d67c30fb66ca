//! What an assessment is told before it starts, and why it may not start.

use cofferdam_posture::Deployment;
use cofferdam_scan::{ScanError, ScanOptions};
use thiserror::Error;

/// A deployment file that the caller has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentFile {
    /// Its name as the user gave it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Everything that an assessment of a running service is told.
#[derive(Debug, Clone)]
pub struct AssessOptions {
    /// The scan. Its `facts` are filled from the deployment files.
    pub scan: ScanOptions,
    /// The deployment files of the service.
    pub deployment: Vec<DeploymentFile>,
    /// The compose service or container that the API is, where the files describe several.
    pub service: Option<String>,
}

/// Why an assessment did not start.
#[derive(Debug, Error)]
pub enum AssessError {
    /// A deployment file cannot be read.
    #[error(transparent)]
    Deployment(#[from] cofferdam_posture::Error),
    /// The scan did not start.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The service that was named is in none of the files.
    #[error("no service `{name}` in the deployment files: they describe {known}")]
    NoService {
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: String,
    },
}

/// Reads deployment files, whatever their format.
pub(crate) fn read(files: &[DeploymentFile]) -> Result<Deployment, AssessError> {
    let inputs: Vec<cofferdam_posture::Input<'_>> = files
        .iter()
        .map(|file| cofferdam_posture::Input {
            name: &file.name,
            bytes: file.text.as_bytes(),
        })
        .collect();
    Ok(Deployment::read(&inputs)?)
}
