//! What gate and broker read from each other: frames, calls and answers.

use bytes::BytesMut;
use cofferdam_action::action::Action;
use cofferdam_action::wire::{self, Answer, Ask, Call, Frame, MAX_DATA, MAX_MESSAGE};

use crate::Target;

/// The targets of this file.
pub const TARGETS: &[Target] = &[
    Target {
        name: "wire_frames",
        run: frames,
        seeds: &[
            b"\x01\0\0\0\x02{}\x04\0\0\0\0",
            b"\x02\0\0\0\x02{}\x03\0\0\0\x05hello\x04\0\0\0\0",
            b"\x05\0\0\0\x04gone",
        ],
    },
    Target {
        name: "wire_messages",
        run: messages,
        seeds: &[
            br#"{"token":"a.b.c","certificate":"x","ask":{"Act":"Ping"}}"#,
            br#"{"token":"a.b.c","ask":{"Act":{"ContainerInspect":{"container":"web","size":true}}}}"#,
            br#"{"token":"a.b.c","ask":{"Act":{"ContainerLogs":{"container":"web","stdout":true,"since":"1.5","tail":10}}}}"#,
            br#"{"token":"a.b.c","ask":{"Refused":{"route":"POST /build","refusal":{"rule":"request.not-offered","field":null,"reason":"no"}}}}"#,
            br#"{"request":"0123456789abcdef0123456789abcdef","outcome":{"Done":{"status":200,"content_type":"application/json","body":{"Sized":2}}}}"#,
            br#"{"request":"0123456789abcdef0123456789abcdef","outcome":{"Refused":{"by":"scope","status":403,"message":"no","scope":"containers:run"}}}"#,
        ],
    },
];

/// Frames come out the same however they are cut, and go in again as they came.
pub fn frames(data: &[u8]) {
    let whole = read([data]);
    let cut = read(data.chunks(3));
    assert_eq!(whole, cut);
    let (frames, _) = whole;
    for frame in frames {
        let mut bytes = BytesMut::new();
        wire::encode(&frame, &mut bytes).expect("it was read");
        match &frame {
            // No bytes are no frame.
            Frame::Data(payload) if payload.is_empty() => assert!(bytes.is_empty()),
            Frame::Data(payload) => assert!(payload.len() <= MAX_DATA),
            Frame::Call(payload) | Frame::Answer(payload) => assert!(payload.len() <= MAX_MESSAGE),
            Frame::End | Frame::Abort(_) => {}
        }
        if !bytes.is_empty() {
            assert_eq!(wire::decode(&mut bytes), Ok(Some(frame)));
            assert!(bytes.is_empty());
        }
    }
}

/// The frames until the first that is none, and whether there was one.
fn read<'d>(parts: impl IntoIterator<Item = &'d [u8]>) -> (Vec<Frame>, bool) {
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    for part in parts {
        buffer.extend_from_slice(part);
        loop {
            match wire::decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
    }
    (frames, false)
}

/// A call or an answer is the same after it was written and read again. What a broker reads of a
/// gate that was taken over goes through the same grammars as a request.
pub fn messages(data: &[u8]) {
    if let Ok(call) = serde_json::from_slice::<Call>(data) {
        let json = serde_json::to_vec(&call).expect("it was read");
        assert_eq!(serde_json::from_slice::<Call>(&json).expect("again"), call);
        assert!(!format!("{call:?}").contains("RawToken(\""));
        if let Ask::Act(action) = call.ask {
            let action: Action = *action;
            let _ = cofferdam_action::encode::encode(&action);
        }
    }
    if let Ok(answer) = serde_json::from_slice::<Answer>(data) {
        let json = serde_json::to_vec(&answer).expect("it was read");
        assert_eq!(
            serde_json::from_slice::<Answer>(&json).expect("again"),
            answer
        );
    }
}
