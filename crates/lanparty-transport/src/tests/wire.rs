//! A source of a program's own that works on every system.

#[cfg(unix)]
mod system {
    use std::io::{Read, Write};
    use std::os::fd::{AsFd, BorrowedFd};
    use std::os::unix::net::UnixStream;

    pub(in crate::tests) struct Wire(UnixStream);

    pub(in crate::tests) struct Writer(UnixStream);

    pub(in crate::tests) fn wire() -> (Wire, Writer) {
        let (here, there) = UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        (Wire(here), Writer(there))
    }

    impl Wire {
        /// What was written, if anything is left.
        pub(in crate::tests) fn read(&mut self) -> Option<Vec<u8>> {
            let mut bytes = vec![0; 64];
            let len = self.0.read(&mut bytes).ok()?;
            bytes.truncate(len);
            Some(bytes)
        }
    }

    impl Writer {
        pub(in crate::tests) fn write(&mut self, bytes: &[u8]) {
            self.0.write_all(bytes).unwrap();
        }
    }

    impl AsFd for Wire {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
}

#[cfg(windows)]
mod system {
    use std::os::windows::io::{AsHandle, BorrowedHandle};
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use lanparty_os::windows::overlapped::Event;

    pub(in crate::tests) struct Wire(Receiver<Vec<u8>>, Arc<Event>);

    pub(in crate::tests) struct Writer(Sender<Vec<u8>>, Arc<Event>);

    pub(in crate::tests) fn wire() -> (Wire, Writer) {
        let (sender, receiver) = channel();
        let event = Arc::new(Event::new().unwrap());
        (Wire(receiver, event.clone()), Writer(sender, event))
    }

    impl Wire {
        /// What was written, if anything is left.
        pub(in crate::tests) fn read(&mut self) -> Option<Vec<u8>> {
            self.1.reset();
            self.0.try_recv().ok()
        }
    }

    impl Writer {
        pub(in crate::tests) fn write(&mut self, bytes: &[u8]) {
            self.0.send(bytes.to_vec()).unwrap();
            self.1.set();
        }
    }

    impl AsHandle for Wire {
        fn as_handle(&self) -> BorrowedHandle<'_> {
            self.1.as_handle()
        }
    }
}

pub(super) use system::{Wire, wire};
