//! `/proc/self/status`: who the process is and what the kernel lets it do.

use super::{Live, View};
use crate::conditions::KNOWN_CAPABILITIES;
use cofferdam_finding::{Condition, Confidence, Evidence, Truth};

/// Bits of the capabilities that edges speak of (linux/capability.h).
const BITS: &[(&str, u32)] = &[
    ("DAC_READ_SEARCH", 2),
    ("NET_ADMIN", 12),
    ("NET_RAW", 13),
    ("SYS_MODULE", 16),
    ("SYS_RAWIO", 17),
    ("SYS_PTRACE", 19),
    ("SYS_ADMIN", 21),
    ("MKNOD", 27),
    ("PERFMON", 38),
    ("BPF", 39),
];

/// The last capability of the oldest kernel that counts as having all: CAP_AUDIT_READ, 37.
const ALL_OF_OLD: u64 = 0x3f_ffff_ffff;

pub(super) fn learn(live: &mut Live, file: &View<'_>) {
    let field = |name: &str| {
        file.text.lines().enumerate().find_map(|(index, line)| {
            let value = line.strip_prefix(name)?.strip_prefix(':')?;
            Some((index, line, value.trim()))
        })
    };
    let says = |found: (usize, &str, &str), shows: &str| file.shows(shows, found.0, found.1);

    let uid = field("Uid").and_then(|found| {
        // Real, effective, saved, file system: the effective one acts.
        let uid: u32 = found.2.split_whitespace().nth(1)?.parse().ok()?;
        Some((found, uid))
    });
    if let Some((found, uid)) = uid {
        let (truth, shows) = if uid == 0 {
            (Truth::Yes, "the process runs as root")
        } else {
            (Truth::No, "the process does not run as root")
        };
        live.learn(
            Condition::UserRoot,
            truth,
            Confidence::Proven,
            says(found, shows),
        );
    }

    let seccomp = field("Seccomp");
    if let Some(found) = seccomp {
        let (truth, shows) = if found.2 == "0" {
            (Truth::Yes, "no seccomp filter applies")
        } else {
            (Truth::No, "a seccomp filter applies")
        };
        live.learn(
            Condition::SeccompOff,
            truth,
            Confidence::Proven,
            says(found, shows),
        );
    }
    if let Some(found) = field("NoNewPrivs") {
        let (truth, shows) = if found.2 == "0" {
            (Truth::Yes, "the process may gain privileges")
        } else {
            (Truth::No, "the process cannot gain privileges")
        };
        live.learn(
            Condition::NnpOff,
            truth,
            Confidence::Proven,
            says(found, shows),
        );
    }

    // A process that is not root has no effective capabilities, whatever its container was given;
    // what it would have as root is the bounding set, and edges ask for root beside.
    let root = uid.is_some_and(|(_, uid)| uid == 0);
    let set = if root {
        field("CapEff")
    } else {
        field("CapBnd")
    };
    let Some((found, mask)) =
        set.and_then(|found| Some((found, u64::from_str_radix(found.2, 16).ok()?)))
    else {
        return;
    };
    for (condition, names, _) in KNOWN_CAPABILITIES {
        let has = names.iter().any(|name| {
            BITS.iter()
                .any(|(known, bit)| known == name && mask & (1 << bit) != 0)
        });
        let (truth, shows) = if has {
            (Truth::Yes, format!("{condition} is granted"))
        } else {
            (Truth::No, format!("{condition} is not granted"))
        };
        live.learn(*condition, truth, Confidence::Proven, says(found, &shows));
    }
    privileged(live, file, found, mask, seccomp.map(|found| found.2));
}

/// A privileged container has every capability, no seccomp filter, and kernel files as they are.
fn privileged(
    live: &mut Live,
    file: &View<'_>,
    found: (usize, &str, &str),
    mask: u64,
    seccomp: Option<&str>,
) {
    let all = mask & ALL_OF_OLD == ALL_OF_OLD;
    let evidence = |shows: &str| -> Vec<Evidence> { file.shows(shows, found.0, found.1) };
    if !all || seccomp.is_some_and(|mode| mode != "0") {
        let shows = "a privileged container has every capability and no seccomp filter";
        live.learn(
            Condition::Privileged,
            Truth::No,
            Confidence::Proven,
            evidence(shows),
        );
    } else if seccomp == Some("0") && live.open_kernel_files {
        let shows = "every capability, no seccomp filter, unmasked kernel files: privileged";
        for condition in [Condition::Privileged, Condition::MountDev] {
            live.learn(condition, Truth::Yes, Confidence::Proven, evidence(shows));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{LiveFile, LiveProc};
    use cofferdam_finding::{Condition, Truth};

    const ORDINARY: &str = "Name:\tapi\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t0\n\
        CapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\n\
        CapBnd:\t00000000a80425fb\nNoNewPrivs:\t0\nSeccomp:\t2\n";

    fn status(text: &str) -> LiveProc {
        LiveProc {
            status: Some(LiveFile {
                text: text.to_owned(),
                evidence: Vec::new(),
            }),
            ..LiveProc::default()
        }
    }

    #[test]
    fn dockers_default_is_read_from_its_mask() {
        let facts = status(ORDINARY).facts();
        use Condition::*;
        for yes in [UserRoot, CapNetRaw, CapMknod, NnpOff] {
            assert_eq!(facts.truth(yes), Truth::Yes, "{yes}");
        }
        for no in [
            Privileged,
            CapSysAdmin,
            CapSysPtrace,
            CapBpf,
            CapDacReadSearch,
            SeccompOff,
        ] {
            assert_eq!(facts.truth(no), Truth::No, "{no}");
        }
        let line = facts.fact(CapMknod).unwrap().evidence[0]
            .source
            .as_ref()
            .unwrap();
        assert_eq!(line.line, Some(7));
    }

    #[test]
    fn without_root_the_bounding_set_counts() {
        let text = ORDINARY
            .replace("Uid:\t0\t0\t0\t0", "Uid:\t1000\t1000\t1000\t1000")
            .replace("CapEff:\t00000000a80425fb", "CapEff:\t0000000000000000")
            .replace("CapBnd:\t00000000a80425fb", "CapBnd:\t00000000a82425fb");
        let facts = status(&text).facts();
        assert_eq!(facts.truth(Condition::UserRoot), Truth::No);
        assert_eq!(facts.truth(Condition::CapSysAdmin), Truth::Yes);
    }

    #[test]
    fn all_capabilities_alone_do_not_prove_a_privileged_container() {
        let text = ORDINARY
            .replace("00000000a80425fb", "000001ffffffffff")
            .replace("Seccomp:\t2", "Seccomp:\t0");
        let mut live = status(&text);
        assert_eq!(live.facts().truth(Condition::Privileged), Truth::Unknown);
        live.mountinfo = Some(LiveFile {
            text: "1 0 0:50 / / rw - overlay overlay rw\n2 1 0:51 / /proc rw - proc proc rw\n\
                   3 1 0:52 / /sys rw - sysfs sysfs rw\n"
                .to_owned(),
            evidence: Vec::new(),
        });
        assert_eq!(live.facts().truth(Condition::Privileged), Truth::Yes);
    }
}
