//! A named pipe, for its owner and administrators of this machine.

use std::cell::RefCell;
use std::io::{self, Read};
use std::os::windows::io::{AsHandle, BorrowedHandle};
use std::path::Path;

use windows_sys::Win32::Foundation::{ERROR_BROKEN_PIPE, ERROR_PIPE_BUSY, GENERIC_READ};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, PIPE_ACCESS_OUTBOUND,
};
use windows_sys::Win32::System::Pipes::{
    CreateNamedPipeW, PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE, PIPE_UNLIMITED_INSTANCES,
    PIPE_WAIT, WaitNamedPipeW,
};

use super::TIMEOUT;
use crate::windows::overlapped::{Device, Event, Operation, owned};
use crate::windows::security::{Private, current_user, descriptor_of};
use crate::windows::wide;

/// Bytes handed over at a time, and what the pipe holds for a reader.
const CHUNK: u32 = 64 * 1024;
/// Tries to get an instance of the pipe that nobody else has taken meanwhile.
const ATTEMPTS: usize = 5;

#[derive(Debug)]
pub(super) struct Listener {
    name: String,
    /// Set when somebody has connected.
    event: Event,
    waiting: RefCell<Instance>,
}

/// One end of the pipe that waits for, or has, another.
#[derive(Debug)]
struct Instance {
    pipe: Device,
    connect: Operation,
}

impl Listener {
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        let name = pipe_name(path)?;
        let event = Event::new()?;
        // The first of its name, so that nobody else answers in our place.
        let waiting = Instance::new(&name, FILE_FLAG_FIRST_PIPE_INSTANCE, &event)?;
        Ok(Self {
            name,
            event,
            waiting: RefCell::new(waiting),
        })
    }

    /// Who waits, and whether we answer them; an error where nobody does.
    pub(super) fn accept(&self) -> io::Result<(Stream, bool)> {
        let mut waiting = self.waiting.borrow_mut();
        if !self.event.is_set()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let connected = waiting.connect.poll();
        // Starting to wait again resets the event.
        let next = Instance::new(&self.name, 0, &self.event)?;
        let Instance { pipe, .. } = std::mem::replace(&mut *waiting, next);
        // A connection that was there before we waited has nothing to poll.
        connected.unwrap_or(Ok(0))?;
        // Only those whom the access list names get this far.
        Ok((Stream(pipe), true))
    }
}

impl AsHandle for Listener {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.event.as_handle()
    }
}

impl Instance {
    fn new(name: &str, first: u32, event: &Event) -> io::Result<Self> {
        let name = wide::terminated(name)?;
        let private = Private::new()?;
        // SAFETY: the name is terminated, the attributes outlive the call.
        let handle = unsafe {
            CreateNamedPipeW(
                name.as_ptr(),
                PIPE_ACCESS_OUTBOUND | FILE_FLAG_OVERLAPPED | first,
                PIPE_TYPE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS,
                PIPE_UNLIMITED_INSTANCES,
                CHUNK,
                0,
                0,
                private.as_ptr(),
            )
        };
        let pipe = Device::from(owned(handle)?);
        let mut connect = Operation::new(pipe.clone(), 0);
        connect.start_connect(event)?;
        Ok(Self { pipe, connect })
    }
}

#[derive(Debug)]
pub(super) struct Stream(Device);

impl Stream {
    /// What has not been read when the pipe is closed stays for the reader.
    pub(super) fn answer(self, document: &[u8]) -> io::Result<()> {
        let event = Event::new()?;
        let len = usize::try_from(CHUNK).unwrap_or(1);
        let mut write = Operation::new(self.0, len);
        for chunk in document.chunks(len) {
            write.start_write(&event, chunk)?;
            write.finish(&event, TIMEOUT)?;
        }
        Ok(())
    }
}

/// The asking end.
#[derive(Debug)]
struct Answer {
    event: Event,
    read: Operation,
}

pub(super) fn connect(path: &Path) -> io::Result<impl Read> {
    let name = pipe_name(path)?;
    let pipe = open(&name)?;
    // Who is there first could have taken the name of a program that is not.
    if !descriptor_of(&pipe)?.is_owned_by(&current_user()?) {
        let refused = "the pipe belongs to another user";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, refused));
    }
    Ok(Answer {
        event: Event::new()?,
        read: Operation::new(pipe, usize::try_from(CHUNK).unwrap_or(1)),
    })
}

fn open(name: &str) -> io::Result<Device> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match Device::open_with(name, GENERIC_READ) {
            Err(error)
                if attempts < ATTEMPTS
                    && error.raw_os_error() == i32::try_from(ERROR_PIPE_BUSY).ok() =>
            {
                wait_for_instance(name)?;
            }
            other => return other,
        }
    }
}

fn wait_for_instance(name: &str) -> io::Result<()> {
    let name = wide::terminated(name)?;
    let millis = u32::try_from(TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: the name is terminated.
    if unsafe { WaitNamedPipeW(name.as_ptr(), millis) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ended = |error: io::Error| match error.raw_os_error() {
            Some(code) if u32::try_from(code) == Ok(ERROR_BROKEN_PIPE) => Ok(0),
            Some(_) | None => Err(error),
        };
        let want = buffer.len().min(self.read.buffer().len());
        if let Err(error) = self.read.start_read(&self.event, want) {
            return ended(error);
        }
        let len = match self.read.finish(&self.event, TIMEOUT) {
            Ok(len) => len.min(want),
            Err(error) => return ended(error),
        };
        let (to, _) = buffer.split_at_mut(len);
        to.copy_from_slice(self.read.buffer().split_at(len).0);
        Ok(len)
    }
}

/// A name of our own for each path, whatever its case: FNV-1a over it. Names
/// need not be secret, and a name that somebody has taken is noticed.
fn pipe_name(path: &Path) -> io::Result<String> {
    let path = std::path::absolute(path)?;
    let text = path.to_string_lossy().to_lowercase();
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    Ok(format!(r"\\.\pipe\lanparty-{hash:016x}"))
}

#[cfg(test)]
mod tests {
    use super::super::AnswerSocket;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_event_is_set_while_somebody_waits_and_only_then() {
        let path = std::env::temp_dir().join("lanparty-event-sock");
        let socket = AnswerSocket::bind(&path).unwrap();
        let event = &socket.listener.event;
        assert!(!event.wait(Duration::ZERO).unwrap());
        let asking = connect(&path).unwrap();
        assert!(event.wait(TIMEOUT).unwrap());
        socket.answer_all(1);
        assert!(!event.wait(Duration::ZERO).unwrap());
        drop(asking);
    }

    #[test]
    fn a_path_is_the_same_in_either_case_and_another_one_is_not() {
        let name = |path: &str| pipe_name(Path::new(path)).unwrap();
        assert_eq!(name("C:\\State\\sock"), name("c:\\state\\SOCK"));
        assert_ne!(name("C:\\State\\sock"), name("C:\\State2\\sock"));
    }
}
