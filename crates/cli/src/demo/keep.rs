//! `--keep`: the vulnerable lab stays, with the lines to go on by hand.

use super::start;
use crate::input::Failure;
use crate::output;
use cofferdam_lab::Switches;
use std::fmt::Write as _;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// Starts the vulnerable lab anew, prints how to reach it, and waits for Ctrl-C.
pub(super) async fn keep(cancel: &CancellationToken) -> Result<(), Failure> {
    let lab = start(Switches::all_open())?;
    let folder = tempfile::Builder::new()
        .prefix("cofferdam-keep-")
        .tempdir()
        .map_err(|error| {
            Failure::new(format!(
                "cannot make a folder for the lab's tokens: {error}"
            ))
        })?;
    // Nobody else on the machine may read the tokens, even of a lab.
    let private = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(folder.path(), private)
        .map_err(|error| Failure::new(format!("cannot protect the lab's tokens: {error}")))?;
    let mut scan = format!("cofferdam scan {} --active --internal", lab.base_url());
    for (name, token) in lab.identities() {
        let file = folder.path().join(format!("{name}.token"));
        secret(&file, token)?;
        let _ = write!(scan, " \\\n  --identity {name}=@{}", file.display());
    }
    let key = folder.path().join("signing-key.pem");
    secret(&key, lab.signing_key_pem())?;
    let _ = write!(scan, " \\\n  --signing-key {}", key.display());
    for file in lab.deployment_files() {
        let _ = write!(scan, " \\\n  --deployment {}", file.display());
    }
    output::print(&format!(
        "\nThe vulnerable lab is running on {}, on loopback only. Ctrl-C ends it.\n\n{scan}\n\n\
         curl -H \"Authorization: Bearer $(cat {}/alice.token)\" {}/v1/containers\n",
        lab.base_url(),
        folder.path().display(),
        lab.base_url(),
    ))?;
    cancel.cancelled().await;
    Ok(())
}

fn secret(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Failure::new(format!("cannot write `{}`: {error}", path.display())))
}
