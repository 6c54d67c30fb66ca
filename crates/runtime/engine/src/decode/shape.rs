//! What the bodies look like: the Go types into which dockerd 20.10 decodes them.

use serde_json::{Map, Value};

/// A Go type, as far as decoding tells them apart.
#[derive(Debug)]
pub(crate) enum Shape {
    Text,
    Bool,
    /// An int64.
    Number,
    /// A list of texts that may be sent as one text.
    Words,
    List(&'static Shape),
    Map(&'static Shape),
    Struct(&'static [(&'static str, Shape)]),
    Pointer(&'static Shape),
    /// Kept as sent.
    Any,
}

impl Shape {
    /// Go's zero value. Fields that were not sent are absent from a struct rather than zero.
    pub(super) fn zero(&self) -> Value {
        match self {
            Shape::Text => "".into(),
            Shape::Bool => false.into(),
            Shape::Number => 0.into(),
            Shape::Struct(_) => Value::Object(Map::new()),
            _ => Value::Null,
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Shape::Text => "string",
            Shape::Bool => "bool",
            Shape::Number => "int64",
            Shape::Words => "strslice.StrSlice",
            Shape::List(_) => "[]",
            Shape::Map(_) => "map[string]",
            Shape::Struct(_) => "struct",
            Shape::Pointer(inner) => inner.kind(),
            Shape::Any => "interface {}",
        }
    }
}

use Shape::{Any, Bool, List, Number, Pointer, Struct, Text, Words};

const TEXTS: Shape = List(&Text);
const TEXT_MAP: Shape = Shape::Map(&Text);
const SET: Shape = Shape::Map(&Struct(&[]));

/// `POST /containers/create`, the part that does not depend on the host.
pub(super) const CONFIG: &[(&str, Shape)] = &[
    ("Hostname", Text),
    ("Domainname", Text),
    ("User", Text),
    ("AttachStdin", Bool),
    ("AttachStdout", Bool),
    ("AttachStderr", Bool),
    ("ExposedPorts", SET),
    ("Tty", Bool),
    ("OpenStdin", Bool),
    ("StdinOnce", Bool),
    ("Env", TEXTS),
    ("Cmd", Words),
    ("Healthcheck", Pointer(&HEALTH)),
    ("ArgsEscaped", Bool),
    ("Image", Text),
    ("Volumes", SET),
    ("WorkingDir", Text),
    ("Entrypoint", Words),
    ("NetworkDisabled", Bool),
    ("MacAddress", Text),
    ("OnBuild", TEXTS),
    ("Labels", TEXT_MAP),
    ("StopSignal", Text),
    ("StopTimeout", Pointer(&Number)),
    ("Shell", Words),
];

const HEALTH: Shape = Struct(&[
    ("Test", TEXTS),
    ("Interval", Number),
    ("Timeout", Number),
    ("StartPeriod", Number),
    ("Retries", Number),
]);

/// The part that does.
pub(super) const HOST_CONFIG: &[(&str, Shape)] = &[
    ("Binds", TEXTS),
    ("ContainerIDFile", Text),
    ("LogConfig", Struct(&[("Type", Text), ("Config", TEXT_MAP)])),
    ("NetworkMode", Text),
    ("PortBindings", Shape::Map(&List(&PORT))),
    (
        "RestartPolicy",
        Struct(&[("Name", Text), ("MaximumRetryCount", Number)]),
    ),
    ("AutoRemove", Bool),
    ("VolumeDriver", Text),
    ("VolumesFrom", TEXTS),
    ("CapAdd", Words),
    ("CapDrop", Words),
    ("CgroupnsMode", Text),
    ("Dns", TEXTS),
    ("DnsOptions", TEXTS),
    ("DnsSearch", TEXTS),
    ("ExtraHosts", TEXTS),
    ("GroupAdd", TEXTS),
    ("IpcMode", Text),
    ("Cgroup", Text),
    ("Links", TEXTS),
    ("OomScoreAdj", Number),
    ("PidMode", Text),
    ("Privileged", Bool),
    ("PublishAllPorts", Bool),
    ("ReadonlyRootfs", Bool),
    ("SecurityOpt", TEXTS),
    ("StorageOpt", TEXT_MAP),
    ("Tmpfs", TEXT_MAP),
    ("UTSMode", Text),
    ("UsernsMode", Text),
    ("ShmSize", Number),
    ("Sysctls", TEXT_MAP),
    ("Runtime", Text),
    ("ConsoleSize", List(&Number)),
    ("Isolation", Text),
    ("CpuShares", Number),
    ("Memory", Number),
    ("NanoCpus", Number),
    ("CgroupParent", Text),
    ("BlkioWeight", Number),
    ("BlkioWeightDevice", List(&Any)),
    ("BlkioDeviceReadBps", List(&Any)),
    ("BlkioDeviceWriteBps", List(&Any)),
    ("BlkioDeviceReadIOps", List(&Any)),
    ("BlkioDeviceWriteIOps", List(&Any)),
    ("CpuPeriod", Number),
    ("CpuQuota", Number),
    ("CpuRealtimePeriod", Number),
    ("CpuRealtimeRuntime", Number),
    ("CpusetCpus", Text),
    ("CpusetMems", Text),
    ("Devices", List(&DEVICE)),
    ("DeviceCgroupRules", TEXTS),
    ("DeviceRequests", List(&Any)),
    ("KernelMemory", Number),
    ("KernelMemoryTCP", Number),
    ("MemoryReservation", Number),
    ("MemorySwap", Number),
    ("MemorySwappiness", Pointer(&Number)),
    ("OomKillDisable", Pointer(&Bool)),
    ("PidsLimit", Pointer(&Number)),
    ("Ulimits", List(&ULIMIT)),
    ("CpuCount", Number),
    ("CpuPercent", Number),
    ("IOMaximumIOps", Number),
    ("IOMaximumBandwidth", Number),
    ("Mounts", List(&MOUNT)),
    ("MaskedPaths", TEXTS),
    ("ReadonlyPaths", TEXTS),
    ("Init", Pointer(&Bool)),
];

const PORT: Shape = Struct(&[("HostIp", Text), ("HostPort", Text)]);
const DEVICE: Shape = Struct(&[
    ("PathOnHost", Text),
    ("PathInContainer", Text),
    ("CgroupPermissions", Text),
]);
const ULIMIT: Shape = Struct(&[("Name", Text), ("Hard", Number), ("Soft", Number)]);
const MOUNT: Shape = Struct(&[
    ("Type", Text),
    ("Source", Text),
    ("Target", Text),
    ("ReadOnly", Bool),
    ("Consistency", Text),
    (
        "BindOptions",
        Pointer(&Struct(&[("Propagation", Text), ("NonRecursive", Bool)])),
    ),
    (
        "VolumeOptions",
        Pointer(&Struct(&[
            ("NoCopy", Bool),
            ("Labels", TEXT_MAP),
            (
                "DriverConfig",
                Pointer(&Struct(&[("Name", Text), ("Options", TEXT_MAP)])),
            ),
        ])),
    ),
    (
        "TmpfsOptions",
        Pointer(&Struct(&[("SizeBytes", Number), ("Mode", Number)])),
    ),
]);

/// The networks that a container is created in.
pub(super) const NETWORKING: &[(&str, Shape)] =
    &[("EndpointsConfig", Shape::Map(&Pointer(&ENDPOINT)))];

const ENDPOINT: Shape = Struct(&[
    ("IPAMConfig", Pointer(&ADDRESSES)),
    ("Links", TEXTS),
    ("Aliases", TEXTS),
    ("NetworkID", Text),
    ("EndpointID", Text),
    ("Gateway", Text),
    ("IPAddress", Text),
    ("IPPrefixLen", Number),
    ("IPv6Gateway", Text),
    ("GlobalIPv6Address", Text),
    ("GlobalIPv6PrefixLen", Number),
    ("MacAddress", Text),
    ("DriverOpts", TEXT_MAP),
]);
const ADDRESSES: Shape = Struct(&[
    ("IPv4Address", Text),
    ("IPv6Address", Text),
    ("LinkLocalIPs", TEXTS),
]);

/// `POST /containers/{id}/exec`.
pub(crate) const EXEC_CREATE: Shape = Struct(&[
    ("User", Text),
    ("Privileged", Bool),
    ("Tty", Bool),
    ("AttachStdin", Bool),
    ("AttachStderr", Bool),
    ("AttachStdout", Bool),
    ("Detach", Bool),
    ("DetachKeys", Text),
    ("Env", TEXTS),
    ("WorkingDir", Text),
    ("Cmd", TEXTS),
]);

/// `POST /exec/{id}/start`.
pub(crate) const EXEC_START: Shape = Struct(&[
    ("Detach", Bool),
    ("Tty", Bool),
    ("ConsoleSize", List(&Number)),
]);

/// `POST /networks/create`.
pub(crate) const NETWORK_CREATE: Shape = Struct(&[
    ("CheckDuplicate", Bool),
    ("Driver", Text),
    ("EnableIPv6", Bool),
    (
        "IPAM",
        Pointer(&Struct(&[
            ("Driver", Text),
            ("Options", TEXT_MAP),
            (
                "Config",
                List(&Struct(&[
                    ("Subnet", Text),
                    ("IPRange", Text),
                    ("Gateway", Text),
                    ("AuxiliaryAddresses", TEXT_MAP),
                ])),
            ),
        ])),
    ),
    ("Internal", Bool),
    ("Attachable", Bool),
    ("Ingress", Bool),
    ("ConfigOnly", Bool),
    ("ConfigFrom", Pointer(&Struct(&[("Network", Text)]))),
    ("Options", TEXT_MAP),
    ("Labels", TEXT_MAP),
    ("Scope", Text),
    ("Name", Text),
]);

/// `POST /networks/{id}/connect`.
pub(crate) const CONNECT: Shape =
    Struct(&[("Container", Text), ("EndpointConfig", Pointer(&ENDPOINT))]);

/// `POST /networks/{id}/disconnect`.
pub(crate) const DISCONNECT: Shape = Struct(&[("Container", Text), ("Force", Bool)]);

/// `POST /volumes/create`.
pub(crate) const VOLUME_CREATE: Shape = Struct(&[
    ("Name", Text),
    ("Driver", Text),
    ("DriverOpts", TEXT_MAP),
    ("Labels", TEXT_MAP),
]);
