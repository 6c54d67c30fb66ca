//! The scan on a service that is not the lab.

mod common;
#[path = "common/parcels.rs"]
mod parcels;

use common::{Cofferdam, assert_valid, firm_findings, report};

#[test]
fn a_service_that_nobody_described_gives_exactly_its_two_flaws() {
    let service = parcels::start();
    let cofferdam = Cofferdam::new();
    let identities = cofferdam.identities(&parcels::TOKENS);
    let mut args = vec!["scan", &service.url, "--format", "json", "--quiet"];
    args.extend(identities.iter().map(String::as_str));
    let output = cofferdam.run(&args);
    let report = report(&output);
    assert_valid(&report);
    assert_eq!(
        firm_findings(&report),
        [
            "object.cross-tenant-read GET /parcels/{id}",
            "reach.path-traversal GET /labels/show",
        ],
        "{report:#}"
    );
    assert_eq!(output.status.code(), Some(1));
    let text = report.to_string();
    for (_, token) in parcels::TOKENS {
        assert!(!text.contains(token), "a token stands in the report");
    }
}
