//! The gate as a service manager starts it: with a configuration, and a socket on which it says how
//! it goes.

use cofferdam_issuer::{Issuer, SigningKey};
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long each word may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A configuration that is whole, with a broker that need not be there.
fn configuration(folder: &Path) -> std::path::PathBuf {
    let key = SigningKey::generate(cofferdam_token::Algorithm::Es256).unwrap();
    let keys = folder.join("keys.json");
    let issuer = Issuer::new("https://idp.example", key);
    std::fs::write(&keys, issuer.jwks().to_string()).unwrap();
    let config = folder.join("gate.toml");
    let text = format!(
        "listen = '127.0.0.1:0'\nlisten_rest = '127.0.0.1:0'\nbroker = '{at}/broker.sock'\n\
         sandbox = 'best-effort'\n[[issuer]]\nissuer = 'https://idp.example'\naudience = 'a'\n\
         keys = '{at}/keys.json'\n",
        at = folder.display()
    );
    std::fs::write(&config, text).unwrap();
    config
}

#[test]
fn the_service_manager_hears_when_it_is_ready_reloads_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let manager = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut gate = Command::new(env!("CARGO_BIN_EXE_cofferdam"))
        .args(["gate", "--config"])
        .arg(configuration(folder.path()))
        .env_clear()
        .env("NOTIFY_SOCKET", folder.path().join("notify"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let process = Pid::from_child(&gate);
    let heard = || {
        let mut bytes = [0; 64];
        let length = manager.recv(&mut bytes);
        length.map(|length| String::from_utf8_lossy(&bytes[..length]).into_owned())
    };
    let told = (|| {
        let mut told = vec![heard()?];
        kill_process(process, Signal::HUP)?;
        told.extend([heard()?, heard()?]);
        kill_process(process, Signal::TERM)?;
        told.push(heard()?);
        Ok::<_, std::io::Error>(told)
    })();
    if told.is_err() {
        gate.kill().unwrap();
    }
    let status = gate.wait().unwrap();
    assert_eq!(
        told.unwrap(),
        ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    );
    assert_eq!(status.code(), Some(0));
}
