//! Our own scanner against the gate's REST API, with its own document and the tokens of two tenants.

use crate::dev::Dev;
use serde_json::Value;
use std::process::Command;

#[test]
fn our_own_scanner_has_no_finding_about_the_rest_api() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("dev");
    drop(Dev::within(&dir, &[]));
    // A scan asks more in a second than a tenant should.
    let config = dir.join("gate.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let limits = "[limits]\nrequests_per_second = 100000\nburst = 100000\n";
    std::fs::write(&config, text.replace("[limits]\n", limits)).unwrap();
    let dev = Dev::within(&dir, &[]);
    for tenant in ["alice", "bob"] {
        let made = dev
            .docker(
                tenant,
                &[
                    "run",
                    "-d",
                    "--name",
                    "web",
                    "allowed/app:1",
                    "sleep",
                    "300",
                ],
            )
            .output();
        // Without the command line there is less to look at, and no less to find.
        assert!(made.is_err() || made.unwrap().status.success());
    }

    let report = folder.path().join("report.json");
    let identity = |name: &str| format!("{name}=@{}", dev.json()["tokens"][name].as_str().unwrap());
    let scan = Command::new(env!("CARGO_BIN_EXE_cofferdam"))
        .args(["scan", dev.rest_url(), "--quiet"])
        .args([
            "--identity",
            &identity("alice"),
            "--identity",
            &identity("bob"),
        ])
        .args([
            "--signing-key",
            dev.json()["issuer"]["key"].as_str().unwrap(),
        ])
        .args(["--output", &format!("json={}", report.display())])
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&scan.stdout);
    assert_eq!(scan.status.code(), Some(0), "{said}");
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(report["findings"], Value::Array(Vec::new()), "{said}");
}
