//! Capabilities: what the engine gives, what the description adds and takes away.

use super::Reading;
use crate::settings::At;
use cofferdam_finding::{Condition, Truth};

/// The capabilities that edges speak of, without `CAP_`, and whether Docker gives them by default.
pub(crate) const KNOWN: &[(Condition, &[&str], bool)] = &[
    (Condition::CapSysAdmin, &["SYS_ADMIN"], false),
    (Condition::CapSysPtrace, &["SYS_PTRACE"], false),
    (Condition::CapSysModule, &["SYS_MODULE"], false),
    (Condition::CapDacReadSearch, &["DAC_READ_SEARCH"], false),
    (Condition::CapSysRawio, &["SYS_RAWIO"], false),
    (Condition::CapNetAdmin, &["NET_ADMIN"], false),
    (Condition::CapNetRaw, &["NET_RAW"], true),
    (Condition::CapBpf, &["BPF", "PERFMON"], false),
    (Condition::CapMknod, &["MKNOD"], true),
];

pub(super) fn learn(reading: &mut Reading<'_>) {
    let added = reading.settings.cap_add.clone();
    let dropped = reading.settings.cap_drop.clone();
    let privileged = reading.privileged().cloned();
    for (condition, names, default) in KNOWN {
        let named = |list: &[At<String>], name: &str| {
            list.iter().find(|at| plain(&at.value) == name).cloned()
        };
        let by_name = |list: &[At<String>]| names.iter().find_map(|name| named(list, name));
        if let Some(privileged) = &privileged {
            let shows = "a privileged container has every capability";
            reading.yes(*condition, privileged.shows(shows));
        }
        // The engine's order: ALL first, then the names; what is added by name outweighs what is
        // dropped by ALL, and what is dropped by name outweighs what is added by ALL.
        if let Some(at) = by_name(&added) {
            reading.yes(*condition, at.shows("the capability is added"));
        } else if privileged.is_some() {
        } else if let Some(at) = by_name(&dropped) {
            reading.no(*condition, at.shows("the capability is dropped"));
        } else if let Some(at) = named(&added, "ALL") {
            reading.yes(*condition, at.shows("every capability is added"));
        } else if let Some(at) = named(&dropped, "ALL") {
            reading.no(*condition, at.shows("every capability is dropped"));
        } else if added
            .iter()
            .chain(&dropped)
            .any(|at| at.value.contains("${"))
        {
        } else if *default {
            reading.absent(*condition, Truth::Yes, "given by default and not dropped");
        } else {
            reading.absent(*condition, Truth::No, "not given by default and not added");
        }
    }
}

/// The name in capitals, without `CAP_`.
pub(crate) fn plain(name: &str) -> String {
    let name = name.trim().to_ascii_uppercase();
    name.strip_prefix("CAP_").map(str::to_owned).unwrap_or(name)
}
