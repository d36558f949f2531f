//! Which path quinn is on, and whether it was asked for packets there.
//!
//! quinn keeps its loss timer when the path changes. Set for packets of the
//! path before, it finds none in flight on the new one, and an assertion ends
//! the connection; without assertions the next probes come too late. The first
//! packet sets the timer anew, so whoever changes the path has to send before
//! it is told the time (quinn issue 2658, mended there for the way back only).

use std::ptr;

use quinn_proto::Connection;

#[derive(Debug)]
pub(crate) struct Path {
    /// Where its controller lies.
    controller: usize,
    is_untried: bool,
}

impl Path {
    pub(crate) fn new(conn: &Connection) -> Self {
        Self {
            controller: controller(conn),
            is_untried: false,
        }
    }

    /// True where the last packet or timeout has changed the path. To be asked
    /// after each: two changes may look like none.
    pub(crate) fn has_changed(&mut self, conn: &Connection) -> bool {
        let before = std::mem::replace(&mut self.controller, controller(conn));
        let has_changed = self.controller != before;
        self.is_untried |= has_changed;
        has_changed
    }

    /// quinn has sent all that it may.
    pub(crate) const fn tried(&mut self) {
        self.is_untried = false;
    }

    pub(crate) const fn is_untried(&self) -> bool {
        self.is_untried
    }
}

/// The remote address does not tell a path from a later one to the same place.
/// Each has a controller of its own, and the old one is still there when the
/// new one is made, so they lie in different places.
fn controller(conn: &Connection) -> usize {
    ptr::from_ref(conn.congestion_state()).cast::<()>().addr()
}
