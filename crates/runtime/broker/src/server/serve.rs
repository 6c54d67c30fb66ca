//! The calls of one connection, one after the other.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use cofferdam_action::action::Action;
use cofferdam_action::wire::{Ask, Call, Frame, MAX_DATA};
use cofferdam_docker::pool::{Outgoing, Streams, Upload};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::watch;

use crate::act::Content;
use crate::broker::Broker;
use crate::connection::{Broken, Reader, Writer};
use crate::pipeline::{Served, serve};

/// How long the gate may go on sending what nobody reads any more.
const LINGER: Duration = Duration::from_secs(30);

/// Parts of an archive that wait for the engine.
const PARTS: usize = 4;

/// What follows a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// Nothing.
    None,
    /// An archive, until its end.
    Archive,
    /// Bytes for the other side of a hijacked connection, once there is one.
    Streams,
}

/// Serves calls until the connection ends or `stop` changes.
pub(super) async fn connection(
    broker: &Arc<Broker>,
    stream: UnixStream,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Broken> {
    let (reader, writer) = stream.into_split();
    let (mut reader, mut writer) = (Reader::new(reader), Writer::new(writer));
    loop {
        let begins = tokio::select! {
            begins = reader.begins() => begins?,
            _ = stop.changed() => false,
        };
        if !begins {
            return Ok(());
        }
        let limit = broker.engine().timing.call;
        let call = tokio::time::timeout(limit, receive(&mut reader)).await;
        let (call, input) = call.map_err(|_| Broken::Aborted)??;
        one(broker, call, input, &mut reader, &mut writer).await?;
    }
}

/// The next call, with its end where nothing follows it.
async fn receive(reader: &mut Reader) -> Result<(Call, Input), Broken> {
    let Frame::Call(json) = reader.frame().await? else {
        return Err(Broken::OutOfTurn);
    };
    let call: Call = serde_json::from_slice(&json).map_err(|_| Broken::OutOfTurn)?;
    let input = input(&call.ask);
    if input == Input::None && reader.frame().await? != Frame::End {
        return Err(Broken::OutOfTurn);
    }
    Ok((call, input))
}

fn input(ask: &Ask) -> Input {
    match ask {
        Ask::Act(action) => match **action {
            Action::ContainerCopyIn { .. } => Input::Archive,
            Action::ContainerAttach(_) | Action::ExecStart { detach: false, .. } => Input::Streams,
            _ => Input::None,
        },
        Ask::Refused { .. } => Input::None,
    }
}

async fn one(
    broker: &Arc<Broker>,
    call: Call,
    input: Input,
    reader: &mut Reader,
    writer: &mut Writer,
) -> Result<(), Broken> {
    let Served {
        answer,
        content,
        until,
    } = match input {
        Input::None => tokio::select! {
            served = serve(broker, call, Outgoing::Empty) => served,
            () = reader.gone() => return Err(Broken::Aborted),
        },
        // The engine answers these at once; the input waits until then.
        Input::Streams => serve(broker, call, Outgoing::Empty).await,
        Input::Archive => {
            let (upload, archive) = Outgoing::archive(PARTS);
            let mut serving = std::pin::pin!(serve(broker, call, archive));
            let mut feeding = std::pin::pin!(feed(reader, upload));
            tokio::select! {
                served = &mut serving => {
                    // It was refused, or the engine has enough. What still comes is not read by
                    // anybody, but the gate must be able to send it before it hears why.
                    answer_to(served, writer).await?;
                    return within(LINGER, feeding).await;
                }
                fed = &mut feeding => {
                    let served = serving.await;
                    fed?;
                    served
                }
            }
        }
    };
    let json = serde_json::to_vec(&answer).map_err(|_| Broken::OutOfTurn)?;
    writer.put(&Frame::Answer(json.into()))?;
    let whole = matches!(content, Content::Empty | Content::Whole(..));
    let written = async {
        match content {
            Content::Hijacked(streams) => both(*streams, reader, writer).await,
            content => {
                one_way(content, reader, writer).await?;
                match input {
                    Input::None | Input::Archive => Ok(()),
                    Input::Streams => within(LINGER, discard(reader)).await,
                }
            }
        }
    };
    match until {
        // The gate hears no end, so nobody takes what has come for all there is.
        Some(until) if !whole => tokio::time::timeout_at(until, written)
            .await
            .map_err(|_| Broken::Aborted)?,
        _ => written.await,
    }
}

/// Writes an answer that has no stream.
async fn answer_to(served: Served, writer: &mut Writer) -> Result<(), Broken> {
    let json = serde_json::to_vec(&served.answer).map_err(|_| Broken::OutOfTurn)?;
    writer.put(&Frame::Answer(json.into()))?;
    if let Content::Whole(bytes, _held) = served.content {
        writer.data(bytes).await?;
    }
    writer.put(&Frame::End)?;
    writer.flush().await
}

/// Writes what follows an answer.
async fn one_way(content: Content, reader: &mut Reader, writer: &mut Writer) -> Result<(), Broken> {
    match content {
        Content::Empty | Content::Hijacked(_) => {}
        Content::Whole(bytes, _held) => writer.data(bytes).await?,
        Content::Stream(mut stream) => {
            // The head goes out at once: clients wait for it before they go on.
            writer.flush().await?;
            loop {
                let next = tokio::select! {
                    next = stream.next() => next,
                    () = reader.gone() => return Err(Broken::Aborted),
                };
                match next {
                    Ok(None) => break,
                    Ok(Some(bytes)) => {
                        writer.data(bytes).await?;
                        writer.flush().await?;
                    }
                    Err(_) => {
                        writer.put(&Frame::Abort("the engine broke off".into()))?;
                        writer.flush().await?;
                        return Err(Broken::Aborted);
                    }
                }
            }
        }
    }
    writer.put(&Frame::End)?;
    writer.flush().await
}

/// Passes bytes in both directions until both have ended.
async fn both(streams: Streams, reader: &mut Reader, writer: &mut Writer) -> Result<(), Broken> {
    let Streams { first, stream, .. } = streams;
    let (mut from, mut to) = stream.into_split();
    let outward = async {
        writer.data(first).await?;
        writer.flush().await?;
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(MAX_DATA / 4);
            // An engine that resets the connection has ended it.
            match from.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {
                    writer.data(buffer.split().freeze()).await?;
                    writer.flush().await?;
                }
            }
        }
        writer.put(&Frame::End)?;
        writer.flush().await
    };
    let inward = async move {
        let mut takes = true;
        loop {
            match reader.frame().await? {
                // What has ended over there takes no more; the gate may still be sending.
                Frame::Data(bytes) if takes => {
                    takes = tokio::select! {
                        written = to.write_all(&bytes) => written.is_ok(),
                        () = reader.closed() => return Err(Broken::Aborted),
                    };
                }
                Frame::Data(_) => {}
                Frame::End => {
                    // The other direction stays open.
                    let _ = to.shutdown().await;
                    return Ok(reader);
                }
                Frame::Abort(_) => return Err(Broken::Aborted),
                Frame::Call(_) | Frame::Answer(_) => return Err(Broken::OutOfTurn),
            }
        }
    };
    let (mut outward, mut inward) = (std::pin::pin!(outward), std::pin::pin!(inward));
    let reader = tokio::select! {
        ended = &mut outward => {
            ended?;
            return within(LINGER, async { inward.await.map(drop) }).await;
        }
        reader = &mut inward => reader?,
    };
    // The gate has sent all that it will. Until the output is over it may only go away, which an
    // engine that has nothing to say would never show.
    tokio::select! {
        biased;
        ended = &mut outward => ended,
        () = reader.gone() => Err(Broken::Aborted),
    }
}

/// Passes an archive on. Whatever breaks it off drops the upload, and with it the request.
async fn feed(reader: &mut Reader, upload: Upload) -> Result<(), Broken> {
    let mut upload = Some(upload);
    loop {
        match reader.frame().await? {
            Frame::Data(bytes) => {
                if let Some(to) = &upload {
                    let takes = tokio::select! {
                        takes = to.send(bytes) => takes,
                        () = reader.closed() => return Err(Broken::Aborted),
                    };
                    if !takes {
                        upload = None;
                    }
                }
            }
            Frame::End => {
                if let Some(to) = upload {
                    to.finish().await;
                }
                return Ok(());
            }
            Frame::Abort(_) => return Err(Broken::Aborted),
            Frame::Call(_) | Frame::Answer(_) => return Err(Broken::OutOfTurn),
        }
    }
}

/// Reads to the end of what the gate sends, since closing on it would lose it the answer.
async fn discard(reader: &mut Reader) -> Result<(), Broken> {
    loop {
        match reader.frame().await? {
            Frame::Data(_) => {}
            Frame::End => return Ok(()),
            Frame::Abort(_) => return Err(Broken::Aborted),
            Frame::Call(_) | Frame::Answer(_) => return Err(Broken::OutOfTurn),
        }
    }
}

async fn within(
    limit: Duration,
    work: impl Future<Output = Result<(), Broken>>,
) -> Result<(), Broken> {
    tokio::time::timeout(limit, work)
        .await
        .map_err(|_| Broken::Aborted)?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both sides of a hijacked connection, and what serves it.
    async fn hijacked() -> (
        UnixStream,
        UnixStream,
        tokio::task::JoinHandle<Result<(), Broken>>,
    ) {
        let (gate, ours) = UnixStream::pair().unwrap();
        let (engine, stream) = UnixStream::pair().unwrap();
        let streams = Streams {
            content_type: None,
            first: bytes::Bytes::new(),
            stream,
        };
        let (reader, writer) = ours.into_split();
        let serving = tokio::spawn(async move {
            let (mut reader, mut writer) = (Reader::new(reader), Writer::new(writer));
            both(streams, &mut reader, &mut writer).await
        });
        (gate, engine, serving)
    }

    fn frames(frame: &Frame) -> BytesMut {
        let mut bytes = BytesMut::new();
        cofferdam_action::wire::encode(frame, &mut bytes).unwrap();
        bytes
    }

    #[tokio::test]
    async fn a_gate_that_goes_away_is_noticed_while_a_container_takes_no_input() {
        let (mut gate, _engine, serving) = hijacked().await;
        let part = frames(&Frame::Data(vec![0; 60_000].into()));
        // Until nothing more fits into what lies between.
        let full = Duration::from_millis(300);
        while tokio::time::timeout(full, gate.write_all(&part))
            .await
            .is_ok()
        {}
        drop(gate);
        let ended = tokio::time::timeout(LINGER, serving).await.unwrap();
        assert!(matches!(ended.unwrap(), Err(Broken::Aborted)));
    }

    #[tokio::test]
    async fn a_gate_that_goes_away_is_noticed_while_a_container_says_nothing() {
        let (mut gate, mut engine, serving) = hijacked().await;
        gate.write_all(&frames(&Frame::End)).await.unwrap();
        // The end of the input has come, and the output may go on.
        assert_eq!(engine.read(&mut [0; 1]).await.unwrap(), 0);
        drop(gate);
        let ended = tokio::time::timeout(LINGER, serving).await.unwrap();
        assert!(matches!(ended.unwrap(), Err(Broken::Aborted)));
    }

    #[tokio::test]
    async fn what_was_sent_before_the_gate_went_away_after_its_input_is_all_passed_on() {
        let (mut gate, mut engine, serving) = hijacked().await;
        for _ in 0..10 {
            gate.write_all(&frames(&Frame::Data(vec![7; 1000].into())))
                .await
                .unwrap();
        }
        gate.write_all(&frames(&Frame::End)).await.unwrap();
        let mut input = Vec::new();
        engine.read_to_end(&mut input).await.unwrap();
        assert_eq!(input, [7; 10_000]);
        engine.write_all(b"output").await.unwrap();
        drop(engine);
        let mut output = Vec::new();
        serving.await.unwrap().unwrap();
        gate.read_to_end(&mut output).await.unwrap();
        let due = [frames(&Frame::Data("output".into())), frames(&Frame::End)].concat();
        assert_eq!(output, due);
    }
}
