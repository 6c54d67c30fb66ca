//! Ctrl-C in the middle of a request.

mod common;
#[path = "common/parcels.rs"]
mod parcels;

use common::{Cofferdam, assert_valid, firm_findings};
use std::io::{BufRead, BufReader, Read};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

#[test]
fn an_interrupted_scan_ends_within_two_seconds_and_keeps_what_it_found() {
    let service = parcels::start();
    let cofferdam = Cofferdam::new();
    let identities = cofferdam.identities(&parcels::TOKENS);
    let mut args = vec![
        "scan",
        &service.url,
        "--format",
        "json",
        "--concurrency",
        "1",
    ];
    args.extend(identities.iter().map(String::as_str));
    let mut scan = cofferdam.command(&args).spawn().unwrap();
    let mut progress = BufReader::new(scan.stderr.take().unwrap()).lines();
    let found = progress.find_map(|line| {
        let line = line.unwrap();
        line.strip_prefix("found ").map(str::to_owned)
    });
    assert!(found.is_some(), "the scan ended without a finding");
    service.stall.store(true, Ordering::SeqCst);
    service
        .stalled
        .recv_timeout(Duration::from_secs(20))
        .expect("a request after the finding");

    let process = rustix::process::Pid::from_child(&scan);
    let interrupted = Instant::now();
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    let mut json = String::new();
    scan.stdout
        .take()
        .unwrap()
        .read_to_string(&mut json)
        .unwrap();
    let status = scan.wait().unwrap();
    assert!(
        interrupted.elapsed() < Duration::from_secs(2),
        "{:?}",
        interrupted.elapsed()
    );

    assert_eq!(status.code(), Some(2));
    let report = serde_json::from_str(&json).unwrap();
    assert_valid(&report);
    assert_eq!(report["complete"], false);
    assert!(!firm_findings(&report).is_empty());
}
