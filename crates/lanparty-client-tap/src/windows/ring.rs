//! Many reads in flight, finished in the order in which they began.
//!
//! All of them share one manual-reset event, and beginning a read resets it.
//! So a read that ended while another one was begun leaves no trace in the
//! event: whoever is about to wait has to look at the oldest read once more.

use std::io;

/// One read after the other.
pub trait Slot {
    /// Begins a read, which resets the event.
    ///
    /// # Errors
    /// When the device refuses.
    fn start(&mut self) -> io::Result<()>;
    /// How it ended, with the length; None while it has not.
    fn poll(&mut self) -> Option<io::Result<usize>>;
    /// What was read.
    fn buffer(&mut self) -> &mut [u8];
}

/// The event of all reads.
pub trait Signal {
    fn set(&self);
    fn reset(&self);
}

/// What a look at the ring brought.
#[derive(Debug)]
pub enum Next<'a> {
    Frame(&'a mut [u8]),
    /// Nothing has ended; the event will be set when something does.
    Nothing,
    /// The device has given a read back unfinished.
    Aborted,
}

#[derive(Debug)]
pub struct Ring<S> {
    slots: Vec<S>,
    /// The oldest read in flight.
    head: usize,
    /// Reads in flight, from `head` on.
    pending: usize,
}

impl<S: Slot> Ring<S> {
    /// Nothing is in flight yet.
    #[must_use]
    pub const fn new(slots: Vec<S>) -> Self {
        Self {
            slots,
            head: 0,
            pending: 0,
        }
    }

    /// Begins every read that is not in flight.
    ///
    /// # Errors
    /// When the device refuses; those before it are in flight then.
    pub fn fill(&mut self) -> io::Result<()> {
        while self.pending < self.slots.len() {
            let at = (self.head + self.pending) % self.slots.len();
            let Some(slot) = self.slots.get_mut(at) else {
                break;
            };
            slot.start()?;
            self.pending += 1;
        }
        Ok(())
    }

    /// Takes what the oldest read has brought. Where nothing has ended, the
    /// event is reset such that it will be set by the next end.
    ///
    /// # Errors
    /// When the device is gone.
    pub fn next(&mut self, signal: &impl Signal) -> io::Result<Next<'_>> {
        let ended = match self.poll_oldest() {
            Some(ended) => ended,
            None => {
                signal.reset();
                // It may have ended just before the reset.
                match self.poll_oldest() {
                    Some(ended) => ended,
                    None => return Ok(Next::Nothing),
                }
            }
        };
        let (at, result) = ended;
        match result {
            Ok(len) => {
                let buffer = self.slots.get_mut(at).map(Slot::buffer).unwrap_or_default();
                let len = len.min(buffer.len());
                Ok(Next::Frame(buffer.split_at_mut(len).0))
            }
            Err(error) if is_aborted(&error) => Ok(Next::Aborted),
            Err(error) => Err(error),
        }
    }

    /// Forgets what has ended, whatever it brought.
    pub fn discard_ended(&mut self) {
        while self.poll_oldest().is_some() {}
    }

    fn poll_oldest(&mut self) -> Option<(usize, io::Result<usize>)> {
        if self.pending == 0 {
            return None;
        }
        let at = self.head;
        let result = self.slots.get_mut(at)?.poll()?;
        self.head = (at + 1) % self.slots.len();
        self.pending -= 1;
        Some((at, result))
    }
}

/// The driver has cancelled the operation: `ERROR_OPERATION_ABORTED`.
#[must_use]
pub fn is_aborted(error: &io::Error) -> bool {
    error.raw_os_error() == Some(995)
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;
    use std::rc::Rc;

    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    /// A device that gives each frame to the oldest read, as the driver does.
    #[derive(Default)]
    struct Device {
        event: Cell<bool>,
        reads: RefCell<VecDeque<usize>>,
        ended: RefCell<Vec<(usize, io::Result<u8>)>>,
        /// Arrives while the event is being reset.
        late: RefCell<Option<u8>>,
        is_gone: Cell<bool>,
    }

    impl Device {
        fn bring(&self, frame: u8) {
            self.end(Ok(frame));
        }

        fn end(&self, result: io::Result<u8>) {
            let Some(slot) = self.reads.borrow_mut().pop_front() else {
                return;
            };
            self.ended.borrow_mut().push((slot, result));
            self.event.set(true);
        }
    }

    impl Signal for Rc<Device> {
        fn set(&self) {
            self.event.set(true);
        }

        fn reset(&self) {
            if let Some(frame) = self.late.take() {
                self.bring(frame);
            }
            self.event.set(false);
        }
    }

    struct FakeSlot {
        number: usize,
        device: Rc<Device>,
        buffer: [u8; 1],
    }

    impl Slot for FakeSlot {
        fn start(&mut self) -> io::Result<()> {
            if self.device.is_gone.get() {
                return Err(io::ErrorKind::NotConnected.into());
            }
            self.device.event.set(false);
            self.device.reads.borrow_mut().push_back(self.number);
            Ok(())
        }

        fn poll(&mut self) -> Option<io::Result<usize>> {
            let mut ended = self.device.ended.borrow_mut();
            let at = ended.iter().position(|(slot, _)| *slot == self.number)?;
            let (_, result) = ended.remove(at);
            Some(result.map(|frame| {
                self.buffer = [frame];
                1
            }))
        }

        fn buffer(&mut self) -> &mut [u8] {
            &mut self.buffer
        }
    }

    fn ring(len: usize) -> (Ring<FakeSlot>, Rc<Device>) {
        let device = Rc::new(Device::default());
        let slot = |number| FakeSlot {
            number,
            device: Rc::clone(&device),
            buffer: [0],
        };
        let mut ring = Ring::new((0..len).map(slot).collect());
        ring.fill().unwrap();
        (ring, device)
    }

    fn frame(ring: &mut Ring<FakeSlot>, device: &Rc<Device>) -> Option<u8> {
        match ring.next(device).unwrap() {
            Next::Frame(frame) => Some(frame[0]),
            Next::Nothing => None,
            Next::Aborted => panic!("aborted"),
        }
    }

    #[test]
    fn frames_come_in_the_order_in_which_they_were_sent() {
        let (mut ring, device) = ring(4);
        let mut seen = Vec::new();
        for round in 0..10 {
            for frame in 0..3 {
                device.bring(round * 3 + frame);
            }
            while let Some(frame) = frame(&mut ring, &device) {
                seen.push(frame);
                ring.fill().unwrap();
            }
        }
        assert_eq!(seen, (0..30).collect::<Vec<_>>());
    }

    #[test]
    fn a_read_that_ends_while_another_begins_is_not_forgotten() {
        let (mut ring, device) = ring(2);
        device.bring(1);
        device.bring(2);
        assert_eq!(frame(&mut ring, &device), Some(1));
        // Resets the event, although the second frame has set it.
        ring.fill().unwrap();
        assert!(!device.event.get());
        assert_eq!(frame(&mut ring, &device), Some(2));
    }

    #[test]
    fn a_frame_that_comes_just_before_the_reset_is_seen() {
        let (mut ring, device) = ring(2);
        device.late.replace(Some(7));
        assert_eq!(frame(&mut ring, &device), Some(7));
    }

    #[test]
    fn before_it_waits_the_event_is_reset_and_the_next_frame_sets_it() {
        let (mut ring, device) = ring(2);
        device.bring(1);
        assert_eq!(frame(&mut ring, &device), Some(1));
        assert_eq!(frame(&mut ring, &device), None);
        assert!(!device.event.get());
        device.bring(2);
        assert!(device.event.get());
    }

    #[test]
    fn a_read_that_was_given_back_is_no_error_and_begins_anew() {
        let (mut ring, device) = ring(2);
        device.end(Err(io::Error::from_raw_os_error(995)));
        assert!(matches!(ring.next(&device).unwrap(), Next::Aborted));
        ring.fill().unwrap();
        device.bring(3);
        device.bring(4);
        assert_eq!(frame(&mut ring, &device), Some(3));
        assert_eq!(frame(&mut ring, &device), Some(4));
    }

    #[test]
    fn a_device_that_is_gone_is_an_error() {
        let (mut ring, device) = ring(2);
        device.is_gone.set(true);
        device.end(Err(io::ErrorKind::NotConnected.into()));
        ring.next(&device).unwrap_err();
        ring.fill().unwrap_err();
    }

    proptest! {
        /// What the loop does: it takes a few frames whenever the event is set,
        /// while the device brings more at any moment, in the middle too.
        #[test]
        fn whatever_the_interleaving_nobody_sleeps_while_a_frame_waits(
            len in 1_usize..5,
            turns in vec((0_usize..4, option::of(0_usize..3), 1_usize..4), 0..20),
        ) {
            let (mut ring, device) = ring(len);
            let (mut sent, mut seen) = (0_u8, Vec::new());
            let mut send = |count: usize| {
                for _ in 0..count {
                    // The driver keeps what nobody reads yet; here it is not sent.
                    if !device.reads.borrow().is_empty() {
                        device.bring(sent);
                        sent += 1;
                    }
                }
            };
            for (before, late, budget) in turns {
                send(before);
                if !device.event.get() {
                    prop_assert!(device.ended.borrow().is_empty());
                    continue;
                }
                let mut handled = 0;
                while let Some(frame) = frame(&mut ring, &device) {
                    seen.push(frame);
                    send(late.unwrap_or_default());
                    ring.fill().unwrap();
                    handled += 1;
                    if handled == budget {
                        device.set();
                        break;
                    }
                }
            }
            while let Some(frame) = frame(&mut ring, &device) {
                seen.push(frame);
            }
            prop_assert_eq!(seen, (0..sent).collect::<Vec<_>>());
        }
    }
}
