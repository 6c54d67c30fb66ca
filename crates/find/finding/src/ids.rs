//! States and conditions: the ids of the edge data, as types.
//!
//! A *state* is what the attacker holds; a *condition* is a fact about how a container is deployed.
//! The ids are those of `crates/find/path/data/edges.json`; a test of `path` holds the two equal.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An id that the edge data does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownId(pub String);

impl fmt::Display for UnknownId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown id `{}`", self.0)
    }
}

impl std::error::Error for UnknownId {}

macro_rules! ids {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $id:literal, $label:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $(#[doc = concat!("`", $id, "`: ", $label, ".")] #[serde(rename = $id)] $variant,)*
        }

        impl $name {
            /// Every id, in the order of the edge data.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The id as the edge data and the reports spell it.
            pub const fn id(self) -> &'static str {
                match self { $($name::$variant => $id),* }
            }

            /// The phrase for people.
            pub const fn label(self) -> &'static str {
                match self { $($name::$variant => $label),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.id())
            }
        }

        impl FromStr for $name {
            type Err = UnknownId;

            fn from_str(text: &str) -> Result<Self, UnknownId> {
                match text {
                    $($id => Ok($name::$variant),)*
                    _ => Err(UnknownId(text.to_owned())),
                }
            }
        }
    };
}

ids! {
    /// What an attacker holds at one point of a path. The label completes "the attacker …".
    State {
        Admin = "admin", "administers the API";
        CloudCredentials = "cloud_credentials", "holds cloud credentials";
        Exec = "exec", "runs commands in the container";
        ExecRoot = "exec_root", "runs commands as root in the container";
        FileRead = "file_read", "reads files in the container";
        FileWrite = "file_write", "writes files in the container";
        ForgedIdentity = "forged_identity", "speaks as any identity";
        Host = "host", "on the host";
        HostFileRead = "host_file_read", "reads files of the host";
        HostFileWrite = "host_file_write", "writes files of the host";
        HostInfo = "host_info", "sees the processes of the host";
        HostLoopback = "host_loopback", "reaches the loopback of the host";
        HostMitm = "host_mitm", "sits in the network of the host";
        K8sAdmin = "k8s_admin", "administers the cluster";
        K8sRecon = "k8s_recon", "lists what the cluster runs";
        K8sSecrets = "k8s_secrets", "reads the secrets of the cluster";
        K8sToken = "k8s_token", "holds a service-account token";
        KernelExec = "kernel_exec", "runs code in the kernel";
        NeighbourExec = "neighbour_exec", "runs commands in another container";
        NeighbourMitm = "neighbour_mitm", "sits between other containers";
        NeighbourRead = "neighbour_read", "reads data of another container";
        NodeCredentials = "node_credentials", "holds the credentials of the node";
        OtherTenant = "other_tenant", "reads or changes what is another tenant's";
        Outside = "outside", "has no token";
        RegistryPush = "registry_push", "pushes images that others run";
        RuntimeControl = "runtime_control", "controls the container runtime";
        RuntimeExec = "runtime_exec", "runs commands in any container";
        RuntimeRead = "runtime_read", "reads from the container runtime";
        SockKnown = "sock_known", "knows that a runtime socket is mounted";
        SsrfBlind = "ssrf_blind", "makes the container send requests, blindly";
        SsrfFull = "ssrf_full", "makes the container send any request";
        SsrfGet = "ssrf_get", "makes the container fetch a URL";
        SsrfUnix = "ssrf_unix", "makes the container speak to a unix socket";
        TokenHolder = "token_holder", "holds a token";
        ToolControl = "tool_control", "steers the tools of a model";
    }
}

ids! {
    /// A fact about the deployment that an edge needs.
    Condition {
        Privileged = "privileged", "Privileged container";
        SockDocker = "sock.docker", "Docker API socket reachable in the container";
        SockContainerd = "sock.containerd", "containerd socket reachable";
        SockCri = "sock.cri", "CRI-O / cri-dockerd / podman / buildkit socket reachable";
        SockRo = "sock.ro", "Runtime socket mounted read-only (no mitigation)";
        MountRoot = "mount.root", "Host / mounted";
        MountEtc = "mount.etc", "Host /etc (or cron dirs) mounted";
        MountHome = "mount.home", "Host /root or /home mounted";
        MountVarlog = "mount.varlog", "Host /var/log mounted (K8s node)";
        MountKubelet = "mount.kubelet", "Host /var/lib/kubelet mounted (or parent)";
        MountDockerlib = "mount.dockerlib", "Host /var/lib/docker or /var/lib/containerd mounted";
        MountProc = "mount.proc", "Host /proc or /proc/sys mounted";
        MountSys = "mount.sys", "Host /sys mounted rw";
        MountDev = "mount.dev", "Host /dev mounted or block device passed";
        MountBin = "mount.bin", "Host /usr,/bin,/lib,/boot mounted rw";
        MountRun = "mount.run", "Host /run or /var/run mounted";
        MountRo = "mount.ro", "The host mount is read-only";
        MountRshared = "mount.rshared", "Mount propagation shared/rshared (Bidirectional)";
        VolumeShared = "volume.shared", "Named/emptyDir/PVC volume shared rw with another container";
        NsPid = "ns.pid", "Host PID namespace";
        NsPidShared = "ns.pid_shared", "PID namespace shared with a neighbour";
        NsNet = "ns.net", "Host network namespace";
        NsIpc = "ns.ipc", "Host IPC namespace";
        UsernsNone = "userns.none", "Container root is host root (no user namespace)";
        CapSysAdmin = "cap.sys_admin", "CAP_SYS_ADMIN";
        CapSysPtrace = "cap.sys_ptrace", "CAP_SYS_PTRACE";
        CapSysModule = "cap.sys_module", "CAP_SYS_MODULE";
        CapDacReadSearch = "cap.dac_read_search", "CAP_DAC_READ_SEARCH";
        CapSysRawio = "cap.sys_rawio", "CAP_SYS_RAWIO";
        CapNetAdmin = "cap.net_admin", "CAP_NET_ADMIN";
        CapNetRaw = "cap.net_raw", "CAP_NET_RAW (Docker default)";
        CapBpf = "cap.bpf", "CAP_BPF / CAP_PERFMON";
        CapMknod = "cap.mknod", "CAP_MKNOD (Docker default)";
        SeccompOff = "seccomp.off", "seccomp unconfined";
        LsmOff = "lsm.off", "AppArmor/SELinux unconfined";
        ProcUnmasked = "proc.unmasked", "/proc not masked / read-write";
        CgroupV1rw = "cgroup.v1rw", "cgroup v1 hierarchy mountable or mounted rw";
        CorePatternW = "core_pattern.w", "/proc/sys/kernel/core_pattern writable";
        UserRoot = "user.root", "App process is uid 0";
        UserDockergid = "user.dockergid", "App uid/gid may write the socket (root or docker gid)";
        NnpOff = "nnp.off", "no_new_privs not set";
        RootfsRw = "rootfs.rw", "Root filesystem writable";
        SaAutomount = "sa.automount", "Service-account token mounted";
        RbacWorkloadCreate = "rbac.workload_create", "SA may create/patch workloads in a namespace without PSA baseline";
        RbacExec = "rbac.exec", "SA may create pods/exec (or attach, ephemeralcontainers)";
        RbacSecrets = "rbac.secrets", "SA may get/list secrets";
        RbacEscalate = "rbac.escalate", "SA has bind/escalate/impersonate, serviceaccounts/token create, CSR approve";
        RbacNodesProxy = "rbac.nodes_proxy", "SA has nodes/proxy get";
        NetDockerTcp = "net.docker_tcp", "Docker API on TCP without TLS client auth (2375; 2376 without verify)";
        NetDockerDesktop = "net.docker_desktop", "Docker Desktop < 4.44.3 internal engine API (192.168.65.7:2375, CVE-2025-9074)";
        NetKubeletAnon = "net.kubelet_anon", "kubelet 10250 anonymous-auth + AlwaysAllow";
        NetKubeletRo = "net.kubelet_ro", "kubelet read-only port 10255";
        NetEtcd = "net.etcd", "etcd 2379 without client cert auth";
        NetApiserverAnon = "net.apiserver_anon", "API server binds power to anonymous/unauthenticated";
        NetImdsV1 = "net.imds_v1", "Instance metadata readable with plain GET (IMDSv1 or equivalent)";
        NetImdsV2Hop2 = "net.imds_v2_hop2", "IMDSv2 with hop limit >= 2, or host network";
        NetImdsHeader = "net.imds_header", "Metadata needs a static header (GCP Metadata-Flavor, Azure Metadata:true)";
        NetTaskcreds = "net.taskcreds", "ECS/EKS pod-identity credential endpoint (169.254.170.2 / .23)";
        NetOpenEastWest = "net.open_east_west", "No egress/network policy: the container reaches node and neighbour ports";
        NetRegistryRw = "net.registry_rw", "Registry reachable with push rights (creds in env/config.json, or anonymous push)";
        NetHostport = "net.hostport", "Port published on host / hostPort";
        SecretsEnv = "secrets.env", "Secrets in environment variables";
        RuncVuln = "runc.vuln", "runc < 1.2.8/1.3.3 (CVE-2025-31133/52565/52881) or < 1.1.12 (CVE-2024-21626)";
        KernelVuln = "kernel.vuln", "Kernel with a known container-reachable LPE";
        RuntimeShared = "runtime.shared", "Shared-kernel runtime (no gVisor/Kata runtimeClass)";
        ShimAbstract = "shim.abstract", "containerd < 1.3.9/1.4.3 abstract shim socket (CVE-2020-15257)";
        AgentShellTool = "agent.shell_tool", "LLM agent has a shell/file/HTTP/container tool in the same container";
        RestartHook = "restart.hook", "Container restarts automatically / image entrypoint on a writable path";
        EngineRootful = "engine.rootful", "Engine runs as root (not rootless) and without an authorization plugin";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_parses_back_to_itself() {
        for state in State::ALL {
            assert_eq!(state.id().parse::<State>(), Ok(*state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.id());
        }
        for condition in Condition::ALL {
            assert_eq!(condition.id().parse::<Condition>(), Ok(*condition));
            assert_eq!(serde_json::to_value(condition).unwrap(), condition.id());
        }
        assert_eq!("root".parse::<State>(), Err(UnknownId("root".to_owned())));
    }
}
