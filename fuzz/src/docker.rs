//! What `cofferdam-docker` reads from an engine.

use cofferdam_docker::{stream, wire};
use serde::de::DeserializeOwned;

use crate::Target;

/// The targets of this file.
pub const TARGETS: &[Target] = &[
    Target {
        name: "docker_stream",
        run: frames,
        seeds: &[
            b"\x01\0\0\0\0\0\0\x05hello\x02\0\0\0\0\0\0\x01x",
            b"\x01\0\0\0\xff\xff\xff\xff",
        ],
    },
    Target {
        name: "docker_wire",
        run: types,
        seeds: &[
            include_bytes!("../seeds/inspect.json"),
            include_bytes!("../seeds/info.json"),
            br#"{"Version":"28.5.2","ApiVersion":"1.51","Components":[{"Name":"Engine","Version":"28"}]}"#,
            br#"[{"Id":"abc","Names":["/a"],"Image":"b","ImageID":"sha256:c","State":"running","Status":"Up","Created":1,"Labels":{"a":"b"},"Ports":[],"Mounts":[]}]"#,
        ],
    },
];

/// The stream of a container without a terminal. What is decoded encodes to as many bytes.
pub fn frames(data: &[u8]) {
    if let Ok(frames) = stream::decode(data) {
        let payload: usize = frames.iter().map(|frame| frame.bytes.len()).sum();
        assert_eq!(payload + 8 * frames.len(), data.len());
        for frame in frames {
            let again = stream::decode(&stream::encode(frame.kind, &frame.bytes)).expect("frames");
            let bytes: Vec<u8> = again.into_iter().flat_map(|it| it.bytes).collect();
            assert_eq!(bytes, frame.bytes);
        }
    }
    let _ = stream::text(data);
}

/// The JSON answers of an engine.
pub fn types(data: &[u8]) {
    fn read<T: DeserializeOwned>(data: &[u8]) {
        let _ = serde_json::from_slice::<T>(data);
        let _ = serde_json::from_slice::<Vec<T>>(data);
    }
    read::<wire::Container>(data);
    read::<wire::ContainerSummary>(data);
    read::<wire::CreateAnswer>(data);
    read::<wire::WaitAnswer>(data);
    read::<wire::Exec>(data);
    read::<wire::Image>(data);
    read::<wire::ImageSummary>(data);
    read::<wire::Info>(data);
    read::<wire::Version>(data);
}
