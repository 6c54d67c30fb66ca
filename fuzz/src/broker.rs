//! What the broker reads at its start: the journal of owners, after a crash or a bad disk.

use std::fs;

use cofferdam_broker::tenancy::{JournalError, Store};

use crate::Target;

/// The targets of this file.
pub const TARGETS: &[Target] = &[Target {
    name: "broker_owners",
    run: owners,
    seeds: &[
        b"",
        br#"{"format":"cofferdam-owners","version":1}
"#,
        br#"{"format":"cofferdam-owners","version":1}
{"change":"own","kind":"container","id":"c1","owner":"gwjjbdmb6pn2ts4l6goi","name":"db"}
{"change":"exec","id":"e1","container":"c1","principal":"gwjjbdmb6pn2ts4l6goi"}
{"change":"rename","id":"c1","name":"web"}
{"change":"tag","image":"mine/app:1","owner":"gwjjbdmb6pn2ts4l6goi"}
{"change":"untag","image":"mine/app:1"}
{"change":"gone","kind":"container","id":"c1"}
"#,
        br#"{"format":"cofferdam-owners","version":1}
{"change":"own","kind":"volume","id":"v1","owner":"gwjjbdmb6pn2ts4l6goi","name":"v1"}
{"change":"own","kind":"netw"#,
    ],
}];

/// A journal that is opened is whole afterwards: opened again it says the same, and nothing is cut.
pub fn owners(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("owners.jsonl");
    fs::write(&path, data).expect("a file");
    match Store::open(&path) {
        Ok(store) => {
            let counts = store.counts();
            assert!(store.cut() <= data.len() as u64);
            drop(store);
            let again = Store::open(&path).expect("what was opened once");
            assert_eq!(again.counts(), counts);
            assert_eq!(again.cut(), 0);
        }
        Err(JournalError::Damaged { line, .. }) => {
            // The file is left for somebody to look at.
            assert!(line > 0);
            assert_eq!(fs::read(&path).expect("the file"), data);
        }
        Err(JournalError::Io { source, .. }) => panic!("{source}"),
    }
}
