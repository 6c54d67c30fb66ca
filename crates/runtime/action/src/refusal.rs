//! Why a request is not an action that may be carried out, and by which rule.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Defines [`Rule`] from one table: variant, stable id, HTTP status, and what it refuses.
macro_rules! rules {
    ($($variant:ident $id:literal $status:literal $doc:literal;)*) => {
        /// The rules by which a request is refused. Ids are stable: the audit log, the messages
        /// and the tests use them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Rule {
            $(#[doc = $doc] #[serde(rename = $id)] $variant,)*
        }

        impl Rule {
            /// Every rule, in the order of the table.
            pub const ALL: &'static [Rule] = &[$(Rule::$variant,)*];

            /// The stable id, `group.short-name`.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Rule::$variant => $id,)* }
            }

            /// The HTTP status with which both dialects answer a refusal by this rule.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Rule::$variant => $status,)* }
            }

            /// What the rule refuses, in one sentence.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self { $(Rule::$variant => $doc,)* }
            }
        }
    };
}

rules! {
    // How a request is written.
    Http "request.http" 400 "A head that is not of HTTP/1.1, or that two readers would not read alike.";
    Target "request.target" 400 "A target that the engine might read as another route: absolute form, `%`, dot segments, double slashes, control characters.";
    Version "request.version" 400 "An API version that is not `/v1.41` or later in its one spelling.";
    Route "request.route" 404 "A method and path that no action has.";
    NotOffered "request.not-offered" 403 "A route of the engine that is no pre-approved action.";
    Header "request.header" 400 "A header that repeats, is missing, or would rewrite the method or the path on the way.";
    Transfer "request.transfer" 400 "A transfer coding or an `Expect` where a JSON body is due.";
    FormBody "request.form-body" 415 "A form body: the engine lets its members override the query.";
    ContentType "request.content-type" 415 "A content type or content coding that the route does not take.";
    Body "request.body" 400 "A body where none is due, or none where one is.";
    BodySize "request.body-size" 413 "A body or a target above the size limit.";
    QuerySyntax "query.syntax" 400 "A query string that cannot be decoded in exactly one way.";
    QueryCase "query.case" 400 "A query key that differs from a known one only in case.";
    QueryDuplicate "query.duplicate" 400 "A known query key given twice.";
    QueryValue "query.value" 400 "A query value outside its type.";
    JsonSyntax "json.syntax" 400 "A body that is not one strict JSON document.";
    JsonDuplicate "json.duplicate" 400 "Members with the same name, or with names that the engine folds into one.";
    JsonCase "json.case" 400 "A member that differs from a known one only in case.";
    JsonType "json.type" 400 "A member of the wrong JSON type or outside its range.";
    JsonUnknown "json.unknown-member" 403 "A member that no action models, at anything but its default.";
    Filter "query.filter" 400 "A filter that the list does not offer.";
    Archive "archive.plain-tar" 415 "An upload that is not a plain, uncompressed tar archive (CVE-2026-41567).";
    ArchivePath "archive.path" 403 "A copy from or to `/proc`, `/sys`, `/dev`, or through `..`.";

    // Names and references.
    Name "name.syntax" 400 "A name outside its grammar.";
    NameHex "name.hex" 403 "A new name of 12 to 64 hex digits, which the engine would take for an id.";
    NameReserved "name.reserved" 403 "A new name that is also a route or a network mode.";
    ImageSyntax "image.syntax" 400 "An image that is not one normal reference with one tag or digest.";
    ImageId "image.id" 403 "An image by its id, which no allow-list can name.";
    ImageNotAllowed "image.not-allowed" 403 "An image outside the allowed ones.";
    ImageTag "image.tag" 403 "A tag that would take the place of an allowed image.";
    Platform "image.platform" 400 "A platform that is not `os[/architecture[/variant]]`.";

    // What hands over the host.
    Privileged "create.privileged" 403 "A privileged container or exec.";
    HostPath "mount.host-path" 403 "A path of the host mounted into the container.";
    MountType "mount.type" 403 "A mount that is neither a named volume nor a tmpfs.";
    MountOption "mount.option" 403 "A mount option beyond read-only and no-copy.";
    MountTarget "mount.target" 403 "A mount over `/`, `/proc`, `/sys` or `/dev` of the container.";
    VolumesFrom "mount.volumes-from" 403 "Every mount of another container, host paths included.";
    VolumeDriver "volume.driver" 403 "A volume driver or its options: `local` mounts any device or directory of the host.";
    NetworkNamespace "namespace.network" 403 "The network namespace of the host or of a path.";
    PidNamespace "namespace.pid" 403 "The process namespace of the host.";
    IpcNamespace "namespace.ipc" 403 "The IPC namespace of the host, of another container, or one that others may join.";
    UtsNamespace "namespace.uts" 403 "The host name of the host.";
    UserNamespace "namespace.user" 403 "The user namespace of the host.";
    CgroupNamespace "namespace.cgroup" 403 "The cgroup namespace or the cgroup of the host or of another container.";
    Capability "capability.add" 403 "A capability beyond the few that stay inside the container.";
    SecurityOption "security.option" 403 "A security option that loosens seccomp, AppArmor, SELinux or no-new-privileges.";
    SecurityPaths "security.paths" 403 "Other masked or read-only paths than the engine's own.";
    Device "device.host" 403 "A device of the host.";
    DeviceRequest "device.request" 403 "A device by request (GPU, CDI): its hooks run on the host.";
    CgroupParent "cgroup.parent" 403 "A cgroup parent chosen by the caller.";
    Sysctl "kernel.sysctl" 403 "A kernel parameter.";
    Runtime "runtime.option" 403 "Another OCI runtime, isolation, or annotations that steer it.";
    Group "user.group" 403 "Additional groups.";
    RootUser "user.root" 403 "Root by explicit wish.";
    Environment "environment.variable" 403 "A variable that loaders or runtime hooks obey on the host side (CVE-2025-23266).";
    WorkingDirectory "command.directory" 403 "A working directory in `/proc`, `/sys` or `/dev` (CVE-2024-21626).";
    Command "command.path" 403 "A command taken from `/proc` (CVE-2019-5736).";
    HealthCommand "healthcheck.scope" 403 "A health command from a caller who may not exec.";
    HealthInterval "healthcheck.interval" 403 "A health command that runs too often or for too long.";
    Log "log.option" 403 "A log driver that leaves the host, or log files without bound.";
    Link "network.link" 403 "A link into another container.";
    ExtraHost "network.extra-host" 403 "Host entries or name servers by which names lead elsewhere than the host has them.";
    HostPort "network.host-port" 403 "A port of the host that belongs to the system or to a runtime.";
    NetworkDriver "network.driver" 403 "A network driver or its options: they reach interfaces of the host.";
    NetworkAddress "network.address" 403 "Addresses chosen by the caller: they capture routes of the host or spoof a neighbour.";
    LabelReserved "label.reserved" 403 "A label that marks ownership or steers the runtime.";
    LabelController "label.controller" 403 "A label that a controller on the host obeys.";
    ProcessColumns "process.columns" 403 "Arguments of the host's `ps` that show more than the container's processes.";
    PruneOwn "prune.own" 403 "A prune that does not say that it is of one's own.";

    // What starves the host.
    MemoryLimit "limit.memory" 403 "Memory beyond the limit, or without one.";
    PidsLimit "limit.pids" 403 "Processes beyond the limit, or without one.";
    CpuLimit "limit.cpu" 403 "Processor time with real-time priority or beyond its range.";
    OomLimit "limit.oom" 403 "Protection from the out-of-memory killer.";
    ShmLimit "limit.shm" 403 "Shared memory beyond the limit.";
    TmpfsLimit "limit.tmpfs" 403 "A tmpfs beyond the limit.";
    UlimitLimit "limit.ulimit" 403 "A resource limit beyond its bound; core dumps go to a handler on the host.";
    StorageLimit "limit.storage" 403 "Storage options of the driver.";
    BlockLimit "limit.block" 403 "Block device weights and rates, which name devices of the host.";
    TextLimit "limit.text" 403 "More text in labels or commands than everybody's lists and events are to carry, or in variables than a program is to be given.";
    StopTimeout "limit.stop-timeout" 403 "A stop timeout that would hold the engine up.";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// A request that is refused: by which rule, for which member, and why.
///
/// `Display` is the message that both dialects answer with. The docker command line shows it word
/// for word after `Error response from daemon: `, so it is one sentence for the person who typed
/// the command. What it quotes of the request is cut and freed of control characters ([`quote`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct Refusal {
    /// The rule that refused.
    pub rule: Rule,
    /// The member, query key or header at fault, as the caller wrote it (`HostConfig.Binds[1]`).
    pub field: Option<String>,
    /// Why, as a lowercase fragment that ends with what to do where something can be done.
    pub reason: String,
}

impl Refusal {
    /// A refusal by `rule` for `reason`, without a field yet.
    pub fn new(rule: Rule, reason: impl Into<String>) -> Self {
        Self {
            rule,
            field: None,
            reason: reason.into(),
        }
    }

    /// Names the field at fault, unless an inner reader has named it more exactly.
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field.get_or_insert_with(|| field.into());
        self
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.rule.status()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "refused by rule {}: {field}: {}", self.rule, self.reason),
            None => write!(f, "refused by rule {}: {}", self.rule, self.reason),
        }
    }
}

impl std::error::Error for Refusal {}

/// How a refusal names the body as a whole.
pub(crate) const BODY: &str = "body";

/// `text` in backticks for a message: control and format characters escaped, so that it cannot
/// steer a terminal, and cut after 120 characters.
#[must_use]
pub fn quote(text: &str) -> String {
    const LIMIT: usize = 120;
    let mut quoted = String::from("`");
    for (at, character) in text.chars().enumerate() {
        if at == LIMIT {
            quoted.push('…');
            break;
        }
        // `escape_debug` leaves the bidirectional controls alone, and those reorder a line.
        let bidirectional = matches!(character, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match character {
            '"' | '\'' | '\\' => quoted.push(character),
            _ if bidirectional => quoted.extend(character.escape_unicode()),
            _ => quoted.extend(character.escape_debug()),
        }
    }
    quoted.push('`');
    quoted
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn rule_ids_are_unique_and_in_two_parts() {
        let ids: HashSet<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        assert_eq!(ids.len(), Rule::ALL.len());
        assert!(ids.iter().all(|id| id.split('.').count() == 2));
    }

    #[test]
    fn a_quoted_value_cannot_steer_a_terminal() {
        assert_eq!(quote("a\u{1b}[2J\u{202e}\nb"), "`a\\u{1b}[2J\\u{202e}\\nb`");
        assert!(quote(&"x".repeat(10_000)).chars().count() < 130);
    }

    #[test]
    fn the_innermost_field_is_kept() {
        let refusal = Refusal::new(Rule::HostPath, "it is the host")
            .at("Binds[1]")
            .at("HostConfig");
        assert_eq!(
            refusal.to_string(),
            "refused by rule mount.host-path: Binds[1]: it is the host"
        );
    }
}
