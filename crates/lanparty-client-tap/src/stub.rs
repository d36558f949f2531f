//! Systems without a backend: everything compiles, nothing opens.

use std::io;

use crate::{Adapter, FromTap, Received, TapCounters, TapError, TapOptions};

/// Never constructed.
#[derive(Debug)]
pub enum Tap {}

impl Tap {
    /// # Errors
    /// Always [`TapError::Unsupported`].
    pub const fn open(_: &TapOptions) -> Result<Self, TapError> {
        Err(TapError::Unsupported)
    }

    #[must_use]
    pub fn name(&self) -> &str {
        match *self {}
    }

    #[must_use]
    pub const fn index(&self) -> u32 {
        match *self {}
    }
}

impl Adapter for Tap {
    fn receive(&mut self, _: usize, _: &mut dyn FnMut(FromTap<'_>)) -> io::Result<Received> {
        match *self {}
    }

    fn send(&mut self, _: &[u8]) {
        match *self {}
    }

    fn flush(&mut self) -> u64 {
        match *self {}
    }

    fn set_carrier(&mut self, _: bool) -> Result<(), TapError> {
        match *self {}
    }

    fn set_mtu(&mut self, _: u16) -> Result<(), TapError> {
        match *self {}
    }

    fn counters(&self) -> TapCounters {
        match *self {}
    }
}
