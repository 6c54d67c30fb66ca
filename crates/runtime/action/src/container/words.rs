//! The words of the kernel: capabilities and resource limits, each with its one spelling.

use serde::{Deserialize, Serialize};

use crate::refusal::{Refusal, Rule, quote};

/// Defines an enum of words with their one spelling.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $error:expr; $($variant:ident $word:literal),* $(,)?) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[allow(missing_docs, reason = "the kernel's manual pages describe each word")]
        pub enum $name {
            $(#[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Every word.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// As it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            /// Reads the word.
            ///
            /// # Errors
            /// A word that is not in the list.
            pub fn parse(text: &str) -> Result<Self, Refusal> {
                match text {
                    $($word => Ok($name::$variant),)*
                    _ => Err($error(text)),
                }
            }
        }
    };
}

words! {
    /// A capability of capabilities(7), without its `CAP_`.
    Capability,
    |text: &str| Refusal::new(Rule::Capability, format!("{} is no single capability such as `NET_BIND_SERVICE`", quote(text)));
    AuditControl "AUDIT_CONTROL", AuditRead "AUDIT_READ", AuditWrite "AUDIT_WRITE",
    BlockSuspend "BLOCK_SUSPEND", Bpf "BPF", CheckpointRestore "CHECKPOINT_RESTORE", Chown "CHOWN",
    DacOverride "DAC_OVERRIDE", DacReadSearch "DAC_READ_SEARCH", Fowner "FOWNER", Fsetid "FSETID",
    IpcLock "IPC_LOCK", IpcOwner "IPC_OWNER", Kill "KILL", Lease "LEASE",
    LinuxImmutable "LINUX_IMMUTABLE", MacAdmin "MAC_ADMIN", MacOverride "MAC_OVERRIDE", Mknod "MKNOD",
    NetAdmin "NET_ADMIN", NetBindService "NET_BIND_SERVICE", NetBroadcast "NET_BROADCAST",
    NetRaw "NET_RAW", Perfmon "PERFMON", Setfcap "SETFCAP", Setgid "SETGID", Setpcap "SETPCAP",
    Setuid "SETUID", SysAdmin "SYS_ADMIN", SysBoot "SYS_BOOT", SysChroot "SYS_CHROOT",
    SysModule "SYS_MODULE", SysNice "SYS_NICE", SysPacct "SYS_PACCT", SysPtrace "SYS_PTRACE",
    SysRawio "SYS_RAWIO", SysResource "SYS_RESOURCE", SysTime "SYS_TIME",
    SysTtyConfig "SYS_TTY_CONFIG", Syslog "SYSLOG", WakeAlarm "WAKE_ALARM",
}

words! {
    /// A resource of setrlimit(2), as the engine names it.
    UlimitName,
    |text: &str| Refusal::new(Rule::UlimitLimit, format!("{} is no resource such as `nofile`", quote(text)));
    Core "core", Cpu "cpu", Data "data", Fsize "fsize", Locks "locks", Memlock "memlock",
    Msgqueue "msgqueue", Nice "nice", Nofile "nofile", Nproc "nproc", Rss "rss", Rtprio "rtprio",
    Rttime "rttime", Sigpending "sigpending", Stack "stack",
}
