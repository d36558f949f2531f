//! One connection's control stream: bytes in order, both ways, bounded.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use quinn_proto::{Connection, Dir, ReadError, ReadableError, StreamId, VarInt, WriteError};

use crate::error::ControlOverflow;
use crate::scattered::{Scattered, TooScattered};

pub(crate) struct Control {
    stream: Option<StreamId>,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    limit: usize,
    arrived: Scattered,
}

/// Why no more is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// As [`Ended`].
    Ended,
    /// It leaves more gaps than a lossy line does.
    Scattered,
}

/// The other side finished, reset or refused the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended;

impl Control {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            stream: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            limit,
            arrived: Scattered::new(limit),
        }
    }

    /// The client's side of the handshake: it opens the one stream.
    pub(crate) fn open(&mut self, conn: &mut Connection) -> Result<(), Ended> {
        self.stream = Some(conn.streams().open(Dir::Bi).ok_or(Ended)?);
        Ok(())
    }

    /// The server's: the first stream is the one, others are turned away.
    pub(crate) fn accept(&mut self, conn: &mut Connection) {
        while let Some(stream) = conn.streams().accept(Dir::Bi) {
            if self.stream.is_none() {
                self.stream = Some(stream);
                continue;
            }
            let nothing = VarInt::from_u32(0);
            let _ = conn.recv_stream(stream).stop(nothing);
            let _ = conn.send_stream(stream).reset(nothing);
        }
    }

    pub(crate) fn is(&self, stream: StreamId) -> bool {
        self.stream == Some(stream)
    }

    pub(crate) fn queue(&mut self, bytes: Bytes) -> Result<(), ControlOverflow> {
        if self.waiting_bytes.saturating_add(bytes.len()) > self.limit {
            return Err(ControlOverflow);
        }
        self.waiting_bytes += bytes.len();
        self.waiting.push_back(bytes);
        Ok(())
    }

    /// True where quinn has everything, or nothing can be sent anyway.
    pub(crate) fn is_flushed(&self) -> bool {
        self.waiting.is_empty() || self.stream.is_none()
    }

    /// Hands quinn what it takes. True where that was anything.
    pub(crate) fn write(&mut self, conn: &mut Connection) -> Result<bool, Ended> {
        let mut wrote = false;
        let Some(stream) = self.stream else {
            return Ok(wrote);
        };
        while let Some(front) = self.waiting.front_mut() {
            if front.has_remaining() {
                match conn.send_stream(stream).write(front) {
                    Ok(written) => {
                        wrote = true;
                        front.advance(written);
                        self.waiting_bytes -= written;
                    }
                    Err(WriteError::Blocked) => return Ok(wrote),
                    Err(WriteError::Stopped(_) | WriteError::ClosedStream) => return Err(Ended),
                }
            }
            if !front.has_remaining() {
                self.waiting.pop_front();
            }
        }
        Ok(wrote)
    }

    /// Hands on what arrived, in order.
    pub(crate) fn read(
        &mut self,
        conn: &mut Connection,
        mut each: impl FnMut(Bytes),
    ) -> Result<(), Unreadable> {
        let Some(stream) = self.stream else {
            return Ok(());
        };
        let mut receiver = conn.recv_stream(stream);
        let mut chunks = match receiver.read(false) {
            Ok(chunks) => chunks,
            Err(ReadableError::ClosedStream | ReadableError::IllegalOrderedRead) => {
                return Err(Unreadable::Ended);
            }
        };
        let outcome = loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => {
                    if let Err(TooScattered) =
                        self.arrived.insert(chunk.offset, chunk.bytes, &mut each)
                    {
                        break Err(Unreadable::Scattered);
                    }
                }
                Err(ReadError::Blocked) => break Ok(()),
                Ok(None) | Err(ReadError::Reset(_)) => break Err(Unreadable::Ended),
            }
        };
        // Window updates go out with the next flush, which follows every read.
        let _ = chunks.finalize();
        outcome
    }
}
