//! The readers of `cofferdam-posture`.

use cofferdam_posture::{
    Deployment, Input, LiveFile, LiveProc, SocketProbe, environ_names, findings,
};

use crate::{Target, parts};

/// The targets of this file.
pub const TARGETS: &[Target] = &[
    Target {
        name: "posture_deployment",
        run: deployment,
        seeds: &[
            include_bytes!("../seeds/compose.yaml"),
            include_bytes!("../seeds/inspect.json"),
            include_bytes!("../seeds/info.json"),
            b"services: {api: {image: a, volumes: [{type: bind, source: /, target: /h}], ports: ['1-3:1-3'], privileged: true}}\n%%%%\n{\"ServerVersion\":\"1\",\"KernelVersion\":\"6\"}",
            b"a: &a {x: 1}\nservices:\n  b: {<<: *a, image: \"${X:-${Y}}\", devices: ['/dev/sda:/dev/sda:rwm']}\n",
        ],
    },
    Target {
        name: "posture_proc",
        run: proc,
        seeds: &[
            b"Name:\tapi\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t0 999\nCapEff:\t00000000a80425fb\nCapBnd:\t000001ffffffffff\nNoNewPrivs:\t0\nSeccomp:\t2\n\
%%%%\n1 2 0:3 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/var/lib/docker/a\n5 1 8:1 /run/docker.sock /host/run\\040x rw shared:7 - ext4 /dev/sda1 rw\n\
%%%%\ndocker-default (enforce)\n%%%%\n         0     100000      65536\n%%%%\n0::/docker/abc\n%%%%\nsystemd\n%%%%\nJWT_SECRET\nPATH\n%%%%\n/var/run/docker.sock",
        ],
    },
];

/// Deployment files, up to four of them together.
pub fn deployment(data: &[u8]) {
    let inputs: Vec<Input<'_>> = parts(data)
        .take(4)
        .map(|bytes| Input {
            name: "file",
            bytes,
        })
        .collect();
    match Deployment::read(&inputs) {
        Ok(deployment) => {
            for workload in &deployment.workloads {
                assert!(deployment.workload(&workload.name).is_some());
                assert!(!workload.findings.iter().any(|it| it.evidence.is_empty()));
            }
            let _ = deployment.candidates(Some(8080));
        }
        Err(error) => assert!(error.to_string().len() < 4096, "a long error"),
    }
}

/// Files of a `/proc`, as somebody read them.
pub fn proc(data: &[u8]) {
    let mut parts = parts(data).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let mut next = || {
        parts.next().map(|text| LiveFile {
            text,
            evidence: Vec::new(),
        })
    };
    let mut proc = LiveProc {
        status: next(),
        mountinfo: next(),
        attr_current: next(),
        uid_map: next(),
        cgroup: next(),
        comm: next(),
        environ_names: next(),
        sockets: Vec::new(),
    };
    proc.sockets.extend(next().map(|file| SocketProbe {
        path: file.text,
        exists: true,
        evidence: Vec::new(),
    }));
    let _ = findings("workload", &proc.facts());
    let names = environ_names(data);
    assert!(names.iter().all(|name| !name.contains(['=', '\0'])));
}
