//! A connection that a client took over: raw bytes both ways.

use super::input::Pipe;
use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// How many bytes are read at a time.
const PIECE: usize = 16 * 1024;

/// Where the client's bytes go.
pub(crate) struct Stdin {
    pub(crate) pipe: Arc<Pipe>,
    /// Whether the program's input ends with the client's.
    pub(crate) ends: bool,
}

/// Serves a connection from the switch of protocols to the end of the output. The client may end
/// its half before: it still gets all of the output.
pub(crate) fn take_over(
    upgrade: OnUpgrade,
    mut output: mpsc::Receiver<Bytes>,
    input: Option<Stdin>,
    permit: OwnedSemaphorePermit,
) {
    tokio::spawn(async move {
        let _permit = permit;
        let Ok(connection) = upgrade.await else {
            return;
        };
        let (mut read, mut write) = tokio::io::split(TokioIo::new(connection));
        let reading = async {
            let mut piece = vec![0; PIECE];
            while let Ok(length @ 1..) = read.read(&mut piece).await {
                if let Some(input) = &input {
                    let bytes = Bytes::copy_from_slice(&piece[..length]);
                    // What comes after the program's end is read and dropped.
                    let _ = input.pipe.write(bytes).await;
                }
            }
            if let Some(input) = &input
                && input.ends
            {
                input.pipe.close();
            }
            // Only the output ends a session.
            std::future::pending::<()>().await;
        };
        let writing = async {
            while let Some(bytes) = output.recv().await {
                if write.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            // A client that has gone away needs no end.
            let _ = write.shutdown().await;
        };
        tokio::select! {
            () = reading => {}
            () = writing => {}
        }
    });
}
