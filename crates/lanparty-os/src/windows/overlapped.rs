//! Reads, writes and control codes that the kernel carries out meanwhile.
//!
//! The kernel owns an operation's block of memory from its start to its end,
//! so an [`Operation`] cannot be dropped before it has ended.

use std::cell::UnsafeCell;
use std::io;
use std::os::windows::io::{
    AsHandle, AsRawHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle, RawHandle,
};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_IO_INCOMPLETE, ERROR_IO_PENDING, ERROR_PIPE_CONNECTED, GENERIC_READ, GENERIC_WRITE,
    INVALID_HANDLE_VALUE, WAIT_OBJECT_0, WAIT_TIMEOUT,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_OVERLAPPED, OPEN_EXISTING, ReadFile, SECURITY_IDENTIFICATION,
    SECURITY_SQOS_PRESENT, WriteFile,
};
use windows_sys::Win32::System::IO::{
    CancelIoEx, DeviceIoControl, GetOverlappedResult, OVERLAPPED,
};
use windows_sys::Win32::System::Pipes::ConnectNamedPipe;
use windows_sys::Win32::System::Threading::{
    CreateEventW, ResetEvent, SetEvent, WaitForSingleObject,
};

use super::wide;

/// How long a driver may take to give up a cancelled operation; after that its
/// memory is left to it. Chosen because a driver that obeys needs microseconds.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

/// A manual-reset event: stays signalled until somebody resets it.
#[derive(Debug)]
pub struct Event(OwnedHandle);

impl Event {
    /// # Errors
    /// Where the process is out of handles.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no attributes and no name; manual reset, not signalled.
        let handle = unsafe { CreateEventW(ptr::null(), 1, 0, ptr::null()) };
        Ok(Self(owned(handle)?))
    }

    pub(crate) const fn from_handle(handle: OwnedHandle) -> Self {
        Self(handle)
    }

    /// Another handle of the same event.
    ///
    /// # Errors
    /// Where the process is out of handles.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    pub fn set(&self) {
        // SAFETY: the handle is an event's and open.
        unsafe { SetEvent(self.0.as_raw_handle()) };
    }

    pub fn reset(&self) {
        // SAFETY: the handle is an event's and open.
        unsafe { ResetEvent(self.0.as_raw_handle()) };
    }

    /// False when the time is over.
    ///
    /// # Errors
    /// When the handle cannot be waited for.
    pub fn wait(&self, timeout: Duration) -> io::Result<bool> {
        let millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX - 1);
        // SAFETY: the handle is an event's and open.
        match unsafe { WaitForSingleObject(self.0.as_raw_handle(), millis) } {
            WAIT_OBJECT_0 => Ok(true),
            WAIT_TIMEOUT => Ok(false),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// # Errors
    /// As [`Self::wait`].
    pub fn is_set(&self) -> io::Result<bool> {
        self.wait(Duration::ZERO)
    }
}

impl AsHandle for Event {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

/// A device or pipe that was opened for overlapped operations.
#[derive(Clone, Debug)]
pub struct Device(Arc<OwnedHandle>);

impl Device {
    /// Opens `path` for reading and writing, for nobody else meanwhile.
    ///
    /// # Errors
    /// When it is not there, in use, or not for us.
    pub fn open(path: &str) -> io::Result<Self> {
        Self::open_with(path, GENERIC_READ | GENERIC_WRITE)
    }

    pub(crate) fn open_with(path: &str, access: u32) -> io::Result<Self> {
        let path = wide::terminated(path)?;
        // Whoever answers must not act in our name.
        let flags = FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION;
        // SAFETY: `path` is terminated; no attributes and no template.
        let handle = unsafe {
            CreateFileW(
                path.as_ptr(),
                access,
                0,
                ptr::null(),
                OPEN_EXISTING,
                flags,
                ptr::null_mut(),
            )
        };
        Ok(owned(handle)?.into())
    }

    /// Sends a control code and waits for its result, whose length it returns.
    ///
    /// # Errors
    /// When the driver refuses, or does not answer in `patience`.
    pub fn control(
        &self,
        code: u32,
        input: &[u8],
        output: &mut [u8],
        patience: Duration,
    ) -> io::Result<usize> {
        let event = Event::new()?;
        // Buffered both ways in one block: input is read before output is written.
        let mut operation = Operation::new(self.clone(), input.len().max(output.len()));
        operation.start_control(&event, code, input, output.len())?;
        let len = operation.finish(&event, patience)?.min(output.len());
        let (filled, _) = output.split_at_mut(len);
        filled.copy_from_slice(operation.buffer().split_at(len).0);
        Ok(len)
    }
}

impl From<OwnedHandle> for Device {
    fn from(handle: OwnedHandle) -> Self {
        Self(Arc::new(handle))
    }
}

impl AsHandle for Device {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

struct Block {
    overlapped: OVERLAPPED,
    buffer: Box<[u8]>,
}

/// One operation after the other on a device, with the memory for it.
#[derive(Debug)]
pub struct Operation {
    device: Device,
    block: NonNull<UnsafeCell<Block>>,
    is_pending: bool,
}

// SAFETY: the block belongs to this operation alone, and the kernel does not
// care which thread asks about it.
unsafe impl Send for Operation {}

impl Operation {
    /// Idle, with a buffer of `len` bytes.
    #[must_use]
    pub fn new(device: Device, len: usize) -> Self {
        let block = Box::new(UnsafeCell::new(Block {
            overlapped: OVERLAPPED::default(),
            buffer: vec![0; len].into_boxed_slice(),
        }));
        Self {
            device,
            // SAFETY: a box is never null.
            block: unsafe { NonNull::new_unchecked(Box::into_raw(block)) },
            is_pending: false,
        }
    }

    #[must_use]
    pub const fn is_idle(&self) -> bool {
        !self.is_pending
    }

    /// Reads at most `len` bytes into the buffer. The event is reset now and set
    /// at the end.
    ///
    /// # Errors
    /// When the device refuses; the operation is idle then.
    pub fn start_read(&mut self, event: &Event, len: usize) -> io::Result<()> {
        self.start(event, |device, block, overlapped| {
            let len = u32::try_from(len.min(block.len())).unwrap_or(u32::MAX);
            // SAFETY: the block lives until the operation has ended.
            unsafe { ReadFile(device, block.as_mut_ptr(), len, ptr::null_mut(), overlapped) }
        })
    }

    /// Writes a copy of `bytes`, or of as many as fit the buffer.
    ///
    /// # Errors
    /// As [`Self::start_read`].
    pub fn start_write(&mut self, event: &Event, bytes: &[u8]) -> io::Result<()> {
        self.start(event, |device, block, overlapped| {
            let len = copy(bytes, block);
            // SAFETY: the block lives until the operation has ended.
            unsafe { WriteFile(device, block.as_ptr(), len, ptr::null_mut(), overlapped) }
        })
    }

    /// Waits for the other end of a pipe.
    ///
    /// # Errors
    /// As [`Self::start_read`].
    pub(crate) fn start_connect(&mut self, event: &Event) -> io::Result<()> {
        let started = self.start(event, |device, _, overlapped| {
            // SAFETY: the block lives until the operation has ended.
            unsafe { ConnectNamedPipe(device, overlapped) }
        });
        let connected = i32::try_from(ERROR_PIPE_CONNECTED).ok();
        match started {
            // Somebody was faster: nothing is pending, and nothing will set the event.
            Err(error) if error.raw_os_error() == connected => {
                event.set();
                Ok(())
            }
            other => other,
        }
    }

    fn start_control(
        &mut self,
        event: &Event,
        code: u32,
        input: &[u8],
        output_len: usize,
    ) -> io::Result<()> {
        self.start(event, |device, block, overlapped| {
            let input_len = copy(input, block);
            let output_len = u32::try_from(output_len.min(block.len())).unwrap_or(0);
            let buffer = block.as_mut_ptr().cast();
            // SAFETY: the block lives until the operation has ended; both
            // lengths lie inside it.
            unsafe {
                DeviceIoControl(
                    device,
                    code,
                    buffer,
                    input_len,
                    buffer,
                    output_len,
                    ptr::null_mut(),
                    overlapped,
                )
            }
        })
    }

    fn start(
        &mut self,
        event: &Event,
        call: impl FnOnce(RawHandle, &mut [u8], *mut OVERLAPPED) -> i32,
    ) -> io::Result<()> {
        if self.is_pending {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let block = self.block.as_ptr();
        // SAFETY: nothing is pending, so the block is ours alone.
        let block = unsafe { &mut *(*block).get() };
        block.overlapped = OVERLAPPED {
            hEvent: event.0.as_raw_handle(),
            ..OVERLAPPED::default()
        };
        let overlapped = &raw mut block.overlapped;
        if call(self.device.0.as_raw_handle(), &mut block.buffer, overlapped) == 0 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != i32::try_from(ERROR_IO_PENDING).ok() {
                return Err(error);
            }
        }
        // Also where it has ended already: its result is there to be taken.
        self.is_pending = true;
        Ok(())
    }

    /// How it ended, with the length; None while it has not.
    pub fn poll(&mut self) -> Option<io::Result<usize>> {
        if !self.is_pending {
            return None;
        }
        let mut len = 0;
        let overlapped = self.overlapped();
        // SAFETY: the block lives, the device is open.
        let done = unsafe {
            GetOverlappedResult(self.device.0.as_raw_handle(), overlapped, &raw mut len, 0)
        };
        if done != 0 {
            self.is_pending = false;
            return Some(Ok(usize::try_from(len).unwrap_or(usize::MAX)));
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() == i32::try_from(ERROR_IO_INCOMPLETE).ok() {
            return None;
        }
        self.is_pending = false;
        Some(Err(error))
    }

    /// Waits for the end, and cancels when that takes longer than `patience`.
    ///
    /// # Errors
    /// As the operation ended, or [`io::ErrorKind::TimedOut`].
    pub fn finish(&mut self, event: &Event, patience: Duration) -> io::Result<usize> {
        event.wait(patience)?;
        match self.poll() {
            Some(result) => result,
            None if self.is_pending => {
                self.cancel();
                Err(io::ErrorKind::TimedOut.into())
            }
            None => Ok(0),
        }
    }

    /// Asks the driver to give up; the operation ends soon after.
    pub fn cancel(&self) {
        if self.is_pending {
            // SAFETY: the block lives, the device is open.
            unsafe { CancelIoEx(self.device.0.as_raw_handle(), self.overlapped()) };
        }
    }

    /// The memory, while the operation is idle; nothing otherwise.
    pub fn buffer(&mut self) -> &mut [u8] {
        if self.is_pending {
            return &mut [];
        }
        // SAFETY: nothing is pending, so the block is ours alone.
        unsafe { &mut (*self.block.as_ref().get()).buffer }
    }

    fn overlapped(&self) -> *mut OVERLAPPED {
        // SAFETY: only the address is taken.
        unsafe { &raw mut (*self.block.as_ref().get()).overlapped }
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.cancel();
        let step = Duration::from_millis(1);
        let mut waited = Duration::ZERO;
        while self.poll().is_none() && self.is_pending {
            if waited > CANCEL_PATIENCE {
                tracing::warn!("a driver does not give up an operation");
                return;
            }
            thread::sleep(step);
            waited += step;
        }
        // SAFETY: made by `Box::into_raw`, and nobody writes to it any more.
        drop(unsafe { Box::from_raw(self.block.as_ptr()) });
    }
}

fn copy(bytes: &[u8], buffer: &mut [u8]) -> u32 {
    let len = bytes.len().min(buffer.len());
    let (to, _) = buffer.split_at_mut(len);
    to.copy_from_slice(bytes.split_at(len).0);
    u32::try_from(len).unwrap_or(0)
}

/// Takes over what a call returned.
pub(crate) fn owned(handle: RawHandle) -> io::Result<OwnedHandle> {
    if handle.is_null() || ptr::eq(handle, INVALID_HANDLE_VALUE) {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: open, just made and nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}
