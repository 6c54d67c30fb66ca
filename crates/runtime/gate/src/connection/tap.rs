//! What stands between the connection and the HTTP server, which is hyper or actix-http: it keeps the
//! head of each request as it came, and knows which of a client's times is running.
//!
//! The rules about a request's spelling are about the bytes on the wire, and a server hands out less:
//! hyper's target has lost a fragment, its headers a doubled `Content-Length` or one beside
//! `Transfer-Encoding`. So the bytes of a head are recorded on their way. To know where a head
//! begins, no more than the bytes of one request are let through: after a head nothing passes until
//! [`Head::take`] was told what follows it.
//!
//! The time limits are here because they need to know whether a request is under way. Those of
//! actix-http do not bound a head after the first one of its connection.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long what nobody wants of a body is still read after the answer. A connection that is closed
/// while its client still sends is reset, and the client loses the answer that says why (RFC 9112
/// §9.6).
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// For a head: the first one from the beginning of the connection, others from their first byte.
    pub(crate) head: Duration,
    /// For the first byte of the next head.
    pub(crate) idle: Duration,
    /// For reading an answer on, unless it is a stream.
    pub(crate) unread: Duration,
}

/// The connection as the server sees it.
#[derive(Debug)]
pub(crate) struct Tap<S> {
    io: S,
    head: Head,
    /// What was read from the connection and may not pass yet.
    held: BytesMut,
    times: Times,
    reading: Deadline,
    writing: Deadline,
}

/// The head of the request at hand, shared with the service.
#[derive(Clone, Debug)]
pub(crate) struct Head(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    phase: Phase,
    /// The head so far, without empty lines before it.
    bytes: BytesMut,
    /// How much of it has been searched for its end.
    searched: usize,
    waiting: Option<Waker>,
    /// Whether there was a request.
    asked: bool,
    /// Whether one is under way.
    busy: bool,
    patient: bool,
}

/// What may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Bytes up to the end of a head.
    Head,
    /// Nothing, until it is said what follows the head.
    Held,
    /// So many bytes, then the next head.
    Body(u64),
    /// Everything: this is the connection's last request.
    Rest,
}

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follows {
    /// So many bytes, and then another head.
    Body(u64),
    /// Whatever comes; no other request is read on this connection.
    Rest,
}

impl Head {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            phase: Phase::Head,
            bytes: BytesMut::new(),
            searched: 0,
            waiting: None,
            asked: false,
            busy: false,
            patient: false,
        })))
    }

    /// Takes the head that the server has just parsed, and says what follows it. Nothing where no
    /// head has ended: then the server saw one that ends elsewhere.
    pub(crate) fn take(&self, follows: Follows) -> Option<Bytes> {
        let mut state = self.state();
        if state.phase != Phase::Held {
            return None;
        }
        state.phase = match follows {
            Follows::Body(0) => Phase::Head,
            Follows::Body(length) => Phase::Body(length),
            Follows::Rest => Phase::Rest,
        };
        state.searched = 0;
        state.asked = true;
        state.busy = true;
        state.patient = false;
        let head = std::mem::take(&mut state.bytes);
        if let Some(waker) = state.waiting.take() {
            waker.wake();
        }
        Some(head.freeze())
    }

    /// The answer is a stream: its receiver may leave it unread for as long as it likes.
    pub(crate) fn be_patient(&self) {
        self.state().patient = true;
    }

    /// The answer is over: the time for the next request runs, or for what is left of this one's body.
    pub(crate) fn be_idle(&self) {
        let mut state = self.state();
        state.busy = false;
        state.patient = false;
        // No byte has to come for that time to begin.
        if let Some(waker) = state.waiting.take() {
            waker.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Records a part of a head, and answers how many of its bytes belong to it.
    fn record(&mut self, part: &[u8]) -> usize {
        let before = self.bytes.len();
        let mut skipped = 0;
        if before == 0 {
            // RFC 9112 §2.2: empty lines before a request are passed over.
            skipped = part
                .iter()
                .take_while(|byte| matches!(byte, b'\r' | b'\n'))
                .count();
        }
        self.bytes.extend_from_slice(&part[skipped..]);
        match self.end() {
            None => part.len(),
            Some(end) => {
                self.bytes.truncate(end);
                self.phase = Phase::Held;
                skipped + end - before
            }
        }
    }

    /// Where the head ends: after its first empty line. A line may end without `CR`, as it may for
    /// the parser of both servers.
    fn end(&mut self) -> Option<usize> {
        let bytes = &self.bytes[..];
        loop {
            let line = bytes[self.searched..]
                .iter()
                .position(|byte| *byte == b'\n')?;
            let next = self.searched + line + 1;
            match &bytes[next..] {
                [b'\n', ..] => return Some(next + 1),
                [b'\r', b'\n', ..] => return Some(next + 2),
                // It cannot be told yet.
                [] | [b'\r'] => {
                    self.searched = next - 1;
                    return None;
                }
                _ => self.searched = next,
            }
        }
    }
}

impl<S> Tap<S> {
    pub(crate) fn new(io: S, times: Times) -> (Self, Head) {
        let head = Head::new();
        let tap = Self {
            io,
            head: head.clone(),
            held: BytesMut::new(),
            times,
            reading: Deadline::default(),
            writing: Deadline::default(),
        };
        (tap, head)
    }

    /// The connection.
    pub(crate) const fn io(&self) -> &S {
        &self.io
    }

    /// The head of the request at hand.
    pub(crate) const fn head(&self) -> &Head {
        &self.head
    }

    /// The connection, and what was read from it and has not passed.
    pub(crate) fn into_parts(self) -> (S, BytesMut) {
        (self.io, self.held)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let tap = self.get_mut();
        let mut state = tap.head.state();
        if state.phase == Phase::Held {
            state.waiting = Some(context.waker().clone());
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        if tap.held.is_empty() {
            if Pin::new(&mut tap.io)
                .poll_read(context, buffer)?
                .is_pending()
            {
                if state.busy {
                    state.waiting = Some(context.waker().clone());
                    return Poll::Pending;
                }
                // A head has one time, however slowly it trickles. A stranger who has asked nothing
                // yet is not waited for longer.
                let (wait, time) = match state.phase {
                    Phase::Head if state.asked && state.bytes.is_empty() => {
                        (Wait::Idle, tap.times.idle)
                    }
                    Phase::Head => (Wait::Head, tap.times.head),
                    _ => (Wait::Unwanted, LINGER),
                };
                ready!(tap.reading.poll(context, wait, time));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        } else {
            let count = tap.held.len().min(buffer.remaining());
            buffer.put_slice(&tap.held[..count]);
            tap.held.advance(count);
        }
        let read = &buffer.filled()[before..];
        let pass = match state.phase {
            Phase::Head => {
                let pass = state.record(read);
                if state.phase == Phase::Held {
                    tap.reading.clear();
                }
                pass
            }
            Phase::Body(left) => {
                let pass = usize::try_from(left).unwrap_or(usize::MAX).min(read.len());
                state.phase = match left - pass as u64 {
                    0 => Phase::Head,
                    left => Phase::Body(left),
                };
                pass
            }
            Phase::Rest | Phase::Held => read.len(),
        };
        if pass < read.len() {
            let mut held = BytesMut::from(&read[pass..]);
            held.extend_from_slice(&tap.held);
            tap.held = held;
            buffer.set_filled(before + pass);
        } else if tap.held.is_empty() {
            tap.held = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Tap<S> {
    /// Gives a write that has to wait its time.
    fn written<T>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.writing.clear();
            return result;
        }
        if self.head.state().patient {
            return Poll::Pending;
        }
        ready!(self.writing.poll(context, Wait::Unread, self.times.unread));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let tap = self.get_mut();
        let result = Pin::new(&mut tap.io).poll_write(context, bytes);
        tap.written(context, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tap = self.get_mut();
        let result = Pin::new(&mut tap.io).poll_write_vectored(context, parts);
        tap.written(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tap = self.get_mut();
        let result = Pin::new(&mut tap.io).poll_flush(context);
        tap.written(context, result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tap = self.get_mut();
        let result = Pin::new(&mut tap.io).poll_shutdown(context);
        tap.written(context, result)
    }
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// The rest of a head.
    Head,
    /// The first byte of the next head.
    Idle,
    /// The rest of a body whose request has its answer.
    Unwanted,
    /// The client, to read on.
    Unread,
}

/// A time that runs while something is waited for.
#[derive(Debug, Default)]
struct Deadline {
    /// When it is over, and of which wait.
    at: Option<(Wait, Instant)>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// Starts to run with the first call, or when the wait has become another one; is ready when
    /// the time is over.
    fn poll(&mut self, context: &mut Context<'_>, wait: Wait, time: Duration) -> Poll<()> {
        let at = match self.at {
            Some((running, at)) if running == wait => at,
            _ => Instant::now() + time,
        };
        self.at = Some((wait, at));
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        // A timer that is early is set again when it rings, which is seldom; one that is late, now.
        if timer.deadline() > at {
            timer.as_mut().reset(at);
        }
        loop {
            ready!(timer.as_mut().poll(context));
            if Instant::now() >= at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
    }

    fn clear(&mut self) {
        self.at = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    const TIMES: Times = Times {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(75),
        unread: Duration::from_secs(60),
    };

    /// What passes in one read, where something does.
    fn pass(tap: &mut Tap<&[u8]>) -> Option<Vec<u8>> {
        let mut memory = [0; 4096];
        let mut buffer = ReadBuf::new(&mut memory);
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(tap).poll_read(&mut context, &mut buffer) {
            Poll::Ready(result) => result.ok().map(|()| buffer.filled().to_vec()),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn no_byte_of_the_next_request_passes_before_it_is_said_what_follows() {
        let first = b"\r\nPOST /x?#y HTTP/1.1\r\nContent-Length: 3\r\n\r\n";
        let second = b"GET /z HTTP/1.1\r\n\r\n";
        let wire = [&first[..], b"abc", second].concat();
        let (mut tap, head) = Tap::new(&wire[..], TIMES);
        assert_eq!(pass(&mut tap).unwrap(), first);
        assert_eq!(pass(&mut tap), None);
        assert_eq!(head.take(Follows::Body(3)).unwrap(), first[2..]);
        assert_eq!(pass(&mut tap).unwrap(), b"abc");
        assert_eq!(head.take(Follows::Body(0)), None);
        assert_eq!(pass(&mut tap).unwrap(), second);
        assert_eq!(head.take(Follows::Rest).unwrap(), second[..]);
        assert_eq!(pass(&mut tap).unwrap(), b"");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_one_time_however_slowly_it_trickles() {
        let (mut client, server) = tokio::io::duplex(64);
        let (mut tap, _head) = Tap::new(server, TIMES);
        let start = Instant::now();
        let trickle = tokio::spawn(async move {
            use tokio::io::AsyncWriteExt as _;
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let mut read = Vec::new();
        let error = tap.read_to_end(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= Duration::from_secs(10));
        assert!(
            start.elapsed() < Duration::from_secs(12),
            "{:?}",
            start.elapsed()
        );
        trickle.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_on_which_nothing_is_asked_ends_but_not_under_a_request() {
        let (client, server) = tokio::io::duplex(64);
        let (mut tap, head) = Tap::new(server, TIMES);
        let mut byte = [0; 1];
        head.state().busy = true;
        head.state().asked = true;
        let waited = tokio::time::timeout(Duration::from_secs(1000), tap.read(&mut byte)).await;
        assert!(waited.is_err());
        head.be_idle();
        let start = Instant::now();
        assert!(tap.read(&mut byte).await.is_err());
        assert_eq!(start.elapsed().as_secs(), 75);
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_an_answer_begins_the_time_for_what_comes_after_it() {
        for (follows, wait) in [
            (Follows::Body(0), TIMES.idle),
            (Follows::Body(9), LINGER),
            (Follows::Rest, LINGER),
        ] {
            let (mut client, server) = tokio::io::duplex(64);
            let (mut tap, head) = Tap::new(server, TIMES);
            use tokio::io::AsyncWriteExt as _;
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            let mut bytes = [0; 64];
            assert_eq!(tap.read(&mut bytes).await.unwrap(), 18);
            head.take(follows).unwrap();
            // The server waits already when the answer ends, and nothing comes any more.
            let answered = async {
                tokio::time::sleep(Duration::from_secs(1000)).await;
                head.be_idle();
                Instant::now()
            };
            let (read, answered) = tokio::join!(tap.read(&mut bytes), answered);
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert_eq!(answered.elapsed().as_secs(), wait.as_secs());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_asked_nothing_yet_is_not_waited_for_as_long_as_who_has() {
        let (_client, server) = tokio::io::duplex(64);
        let (mut tap, _head) = Tap::new(server, TIMES);
        let start = Instant::now();
        assert!(tap.read(&mut [0; 1]).await.is_err());
        assert_eq!(start.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_reads_ends_unless_it_is_a_stream() {
        use tokio::io::AsyncWriteExt as _;
        let (_client, server) = tokio::io::duplex(8);
        let (mut tap, head) = Tap::new(server, TIMES);
        head.be_patient();
        let write = tap.write_all(&[0; 64]);
        let waited = tokio::time::timeout(Duration::from_secs(1000), write).await;
        assert!(waited.is_err());
        head.be_idle();
        let error = tap.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    proptest! {
        #[test]
        fn a_head_ends_at_its_first_empty_line_however_it_is_cut(
            lines in prop::collection::vec("[a-z]{1,9}", 1..6),
            ends in prop::collection::vec(prop::bool::ANY, 7),
            cut in 1usize..12,
            after in "[a-z\r\n]{0,9}",
        ) {
            let end = |bare: bool| if bare { "\n" } else { "\r\n" };
            let mut head: String = lines.iter().zip(&ends).map(|(line, bare)| format!("{line}{}", end(*bare))).collect();
            head.push_str(end(ends[6]));
            let wire = format!("{head}{after}");
            let new = Head::new();
            let mut state = new.state();
            let mut passed = 0;
            for part in wire.as_bytes().chunks(cut) {
                passed += state.record(part);
                if state.phase == Phase::Held {
                    break;
                }
            }
            prop_assert_eq!(state.phase, Phase::Held);
            prop_assert_eq!(passed, head.len());
            prop_assert_eq!(&state.bytes[..], head.as_bytes());
        }
    }
}
