//! How the lab's service is deployed, as it pretends: the facts that follow from the switches, and
//! the files in which a person would find them. [`crate::root`] lays the same facts into `/proc`.

use crate::hole::{Hole, Switches};
use cofferdam_docker::wire::{ContainerConfig, CreateBody, HostConfig, Mount, RestartPolicy};
use cofferdam_engine::Seed;
use std::fmt::Write as _;

/// The container's name, also the compose service's.
pub(crate) const SERVICE: &str = "cofferdam-api";
const IMAGE: &str = "registry.internal/cofferdam/api:1.4.2";
/// The network that it is in.
pub(crate) const NETWORK: &str = "edge";
/// The user when the service does not run as root.
pub(crate) const UID: u32 = 10001;

/// What is true of the container.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) root: bool,
    pub(crate) socket: bool,
    pub(crate) host_mount: bool,
    pub(crate) privileged: bool,
    pub(crate) host_pid: bool,
    pub(crate) host_network: bool,
    pub(crate) sys_admin: bool,
    pub(crate) seccomp: bool,
    pub(crate) app_armor: bool,
    pub(crate) no_new_privileges: bool,
    pub(crate) service_account: bool,
    pub(crate) user_namespace: bool,
    pub(crate) engine_tcp: bool,
    /// `NAME=value`, secrets included where they stand there.
    pub(crate) environment: Vec<String>,
}

impl Facts {
    pub(crate) fn new(switches: &Switches, secrets: &Secrets) -> Self {
        let open = |hole| switches.is_open(hole);
        let privileged = open(Hole::Privileged);
        let mut environment = vec![
            "PATH=/usr/local/bin:/usr/bin:/bin".to_owned(),
            "HOME=/srv".to_owned(),
            "API_LISTEN=0.0.0.0:8080".to_owned(),
            "API_REGION=eu-north".to_owned(),
        ];
        if open(Hole::SecretsInEnvironment) {
            environment.push(format!("DATABASE_PASSWORD={}", secrets.database));
            environment.push(format!("REGISTRY_PASSWORD={}", secrets.registry));
        }
        Self {
            root: open(Hole::RunsAsRoot),
            socket: open(Hole::RuntimeSocket),
            host_mount: open(Hole::HostMount),
            privileged,
            host_pid: open(Hole::HostPid),
            host_network: open(Hole::HostNetwork),
            sys_admin: open(Hole::DangerousCapability),
            // A privileged container has neither filter nor profile.
            seccomp: !privileged && !open(Hole::SeccompUnconfined),
            app_armor: !privileged && !open(Hole::AppArmorUnconfined),
            no_new_privileges: !open(Hole::NewPrivileges),
            service_account: open(Hole::ServiceAccountToken),
            user_namespace: !open(Hole::EngineRootful),
            engine_tcp: open(Hole::EngineTcp),
            environment,
        }
    }

    /// The permitted capabilities of a root process in the container, as the kernel's bit mask.
    pub(crate) fn capabilities(&self) -> u64 {
        match (self.privileged, self.sys_admin) {
            (true, _) => 0x1ff_ffff_ffff,
            (false, true) => 1 << 21,
            (false, false) => 0,
        }
    }

    fn security_options(&self) -> Vec<String> {
        let mut options = Vec::new();
        if self.no_new_privileges {
            options.push("no-new-privileges:true".to_owned());
        }
        if !self.privileged && !self.seccomp {
            options.push("seccomp=unconfined".to_owned());
        }
        if !self.privileged && !self.app_armor {
            options.push("apparmor=unconfined".to_owned());
        }
        options
    }

    fn user(&self) -> String {
        match self.root {
            true => "0:0".to_owned(),
            false => format!("{UID}:{UID}"),
        }
    }

    fn binds(&self) -> Vec<String> {
        let mut binds = Vec::new();
        if self.socket {
            binds.push("/run/docker.sock:/run/docker.sock".to_owned());
        }
        if self.host_mount {
            binds.push("/:/host".to_owned());
        }
        binds
    }

    /// The service's container as the engine knows it.
    pub(crate) fn seed(&self) -> Seed {
        let list = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
        let host_config = HostConfig {
            binds: Some(self.binds()),
            mounts: Some(vec![Mount {
                kind: "volume".to_owned(),
                source: "workspaces".to_owned(),
                target: "/srv/workspaces".to_owned(),
                read_only: true,
            }]),
            privileged: self.privileged,
            cap_add: self.sys_admin.then(|| vec!["SYS_ADMIN".to_owned()]),
            cap_drop: list(&["ALL"]),
            security_opt: Some(self.security_options()),
            pid_mode: if self.host_pid { "host" } else { "" }.to_owned(),
            ipc_mode: "private".to_owned(),
            network_mode: if self.host_network { "host" } else { NETWORK }.to_owned(),
            cgroupns_mode: "private".to_owned(),
            readonly_rootfs: true,
            restart_policy: RestartPolicy {
                name: "no".to_owned(),
                maximum_retry_count: 0,
            },
            pids_limit: Some(200),
            memory: 256 << 20,
            ..HostConfig::default()
        };
        Seed {
            name: SERVICE.to_owned(),
            body: CreateBody {
                config: ContainerConfig {
                    user: self.user(),
                    env: Some(self.environment.clone()),
                    cmd: list(&["sh", "-c", "echo listening on 0.0.0.0:8080; sleep infinity"]),
                    image: IMAGE.to_owned(),
                    working_dir: "/srv".to_owned(),
                    ..ContainerConfig::default()
                },
                host_config,
            },
            running: false,
        }
    }

    /// `compose.yaml`.
    pub(crate) fn compose(&self) -> String {
        let mut text = format!("services:\n  {SERVICE}:\n    image: {IMAGE}\n");
        let mut line = |text_line: &str| {
            text.push_str("    ");
            text.push_str(text_line);
            text.push('\n');
        };
        line(&format!("user: \"{}\"", self.user()));
        line("read_only: true");
        if self.privileged {
            line("privileged: true");
        }
        if self.host_pid {
            line("pid: host");
        }
        if self.host_network {
            line("network_mode: host");
        } else {
            line(&format!("networks: [{NETWORK}]"));
            line("expose: [\"8080\"]");
        }
        line("cap_drop: [ALL]");
        if self.sys_admin {
            line("cap_add: [SYS_ADMIN]");
        }
        let options = self.security_options();
        if !options.is_empty() {
            line("security_opt:");
            for option in options {
                line(&format!("  - {option}"));
            }
        }
        line("pids_limit: 200");
        line("mem_limit: 256m");
        line("environment:");
        for pair in &self.environment {
            if let Some((name, value)) = pair.split_once('=') {
                line(&format!("  {name}: \"{value}\""));
            }
        }
        line("volumes:");
        line("  - workspaces:/srv/workspaces:ro");
        for bind in self.binds() {
            line(&format!("  - {bind}"));
        }
        if self.host_network {
            text.push_str("volumes:\n  workspaces: {}\n");
        } else {
            let _ = write!(
                text,
                "networks:\n  {NETWORK}:\n    internal: true\nvolumes:\n  workspaces: {{}}\n"
            );
        }
        text
    }

    /// `/proc/self/status`.
    pub(crate) fn status(&self, pid: u32) -> String {
        let id = if self.root { 0 } else { UID };
        let bounding = self.capabilities();
        let effective = if self.root { bounding } else { 0 };
        let mut text = format!("Name:\t{SERVICE}\nUmask:\t0022\nState:\tS (sleeping)\n");
        let _ = write!(
            text,
            "Tgid:\t{pid}\nNgid:\t0\nPid:\t{pid}\nPPid:\t0\nTracerPid:\t0\n\
             Uid:\t{id}\t{id}\t{id}\t{id}\nGid:\t{id}\t{id}\t{id}\t{id}\nFDSize:\t64\nGroups:\t{id} \n\
             NStgid:\t{pid}\nNSpid:\t{pid}\nVmPeak:\t  412340 kB\nVmRSS:\t   21004 kB\nThreads:\t3\n\
             SigQ:\t0/7643\nCapInh:\t0000000000000000\nCapPrm:\t{effective:016x}\n\
             CapEff:\t{effective:016x}\nCapBnd:\t{bounding:016x}\nCapAmb:\t0000000000000000\n\
             NoNewPrivs:\t{}\nSeccomp:\t{}\nSeccomp_filters:\t{}\nCpus_allowed_list:\t0-1\n",
            u8::from(self.no_new_privileges),
            if self.seccomp { 2 } else { 0 },
            u8::from(self.seccomp),
        );
        text
    }

    /// `/proc/self/mountinfo`.
    pub(crate) fn mountinfo(&self) -> String {
        let mut text = String::from(
            "611 520 0:52 / / ro,relatime - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/A,upperdir=/var/lib/docker/overlay2/5f/diff,workdir=/var/lib/docker/overlay2/5f/work\n\
             612 611 0:55 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw\n\
             613 611 0:56 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755\n\
             614 613 0:57 / /dev/pts rw,nosuid,noexec,relatime - devpts devpts rw,gid=5,mode=620\n\
             615 613 0:54 / /dev/mqueue rw,nosuid,nodev,noexec,relatime - mqueue mqueue rw\n\
             617 611 254:1 /var/lib/docker/containers/5f/resolv.conf /etc/resolv.conf ro,relatime - ext4 /dev/vda1 rw\n\
             618 611 254:1 /var/lib/docker/containers/5f/hostname /etc/hostname ro,relatime - ext4 /dev/vda1 rw\n\
             619 611 254:1 /var/lib/docker/containers/5f/hosts /etc/hosts ro,relatime - ext4 /dev/vda1 rw\n\
             620 611 254:1 /var/lib/docker/volumes/workspaces/_data /srv/workspaces ro,relatime - ext4 /dev/vda1 rw\n",
        );
        if self.privileged {
            text.push_str(
                "616 611 0:58 / /sys rw,nosuid,nodev,noexec,relatime - sysfs sysfs rw\n\
                 621 616 0:29 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw\n",
            );
        } else {
            text.push_str(
                "616 611 0:58 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro\n\
                 621 616 0:29 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw\n\
                 523 612 0:55 /bus /proc/bus ro,nosuid,nodev,noexec,relatime - proc proc rw\n\
                 524 612 0:55 /sys /proc/sys ro,nosuid,nodev,noexec,relatime - proc proc rw\n\
                 525 612 0:59 / /proc/kcore rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755\n\
                 526 612 0:60 / /proc/acpi ro,relatime - tmpfs tmpfs ro\n",
            );
        }
        if self.socket {
            text.push_str("630 611 0:25 /docker.sock /run/docker.sock rw,nosuid,nodev - tmpfs tmpfs rw,size=402748k,mode=755\n");
        }
        if self.host_mount {
            text.push_str("631 611 254:1 / /host rw,relatime - ext4 /dev/vda1 rw\n");
        }
        if self.service_account {
            text.push_str("632 611 0:61 / /run/secrets/kubernetes.io/serviceaccount ro,relatime - tmpfs tmpfs rw,size=262144k\n");
        }
        text
    }
}

/// Secrets that the lab makes up anew for each start.
#[derive(Clone)]
pub(crate) struct Secrets {
    pub(crate) database: String,
    pub(crate) registry: String,
    pub(crate) service_account: String,
}

impl Secrets {
    pub(crate) fn new() -> std::io::Result<Self> {
        use cofferdam_token::base64url::encode;
        let claims = serde_json::json!({
            "aud": ["https://kubernetes.default.svc"],
            "iss": "https://kubernetes.default.svc",
            "kubernetes.io": {"namespace": "edge", "serviceaccount": {"name": SERVICE}},
            "sub": format!("system:serviceaccount:edge:{SERVICE}"),
            "iat": 1_795_500_000, "exp": 1_827_036_000,
        });
        Ok(Self {
            database: encode(&random::<18>()?),
            registry: encode(&random::<18>()?),
            // It has the form of a token and the signature of nobody.
            service_account: format!(
                "{}.{}.{}",
                encode(br#"{"alg":"RS256","kid":"2bR7"}"#),
                encode(claims.to_string().as_bytes()),
                encode(&random::<256>()?)
            ),
        })
    }
}

/// Two hexadecimal digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}
