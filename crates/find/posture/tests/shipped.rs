//! The compose file that this project ships: nothing is wrong in it but the one thing that it is for.

use cofferdam_finding::Confidence;
use cofferdam_posture::{Deployment, Input};

const COMPOSE: &[u8] = include_bytes!("../../../../deploy/compose.yaml");

#[test]
fn only_the_broker_is_reported_and_only_for_the_socket_that_it_is_there_for() {
    let name = "deploy/compose.yaml";
    let bytes = COMPOSE;
    let deployment = Deployment::read(&[Input { name, bytes }]).unwrap();
    let found: Vec<_> = deployment
        .workloads
        .iter()
        .flat_map(|workload| {
            let sure = workload
                .findings
                .iter()
                .filter(|it| it.confidence >= Confidence::Firm);
            sure.map(|it| (workload.name.as_str(), it.check.as_ref()))
        })
        .collect();
    assert_eq!(found, [("broker", "posture.runtime-socket")]);
    assert_eq!(deployment.workloads.len(), 3);
}
