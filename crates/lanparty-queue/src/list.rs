//! First in, first out, through places of a [`Slab`](crate::slab::Slab): no
//! memory of its own, and anything can leave from the middle.

use std::marker::PhantomData;

use crate::slab::{Index, NONE, Slab};

/// `L` tells the lists apart that an entry can be in at the same time.
#[derive(Debug)]
pub(crate) struct List<L> {
    head: Index,
    tail: Index,
    which: PhantomData<L>,
}

/// The neighbours of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    previous: Index,
    next: Index,
}

pub(crate) trait Linked<L> {
    fn links(&self) -> Links;
    fn links_mut(&mut self) -> &mut Links;
}

impl Links {
    pub(crate) const LOOSE: Self = Self {
        previous: NONE,
        next: NONE,
    };
}

impl<L> List<L> {
    pub(crate) const EMPTY: Self = Self {
        head: NONE,
        tail: NONE,
        which: PhantomData,
    };

    pub(crate) const fn front(&self) -> Option<Index> {
        if self.head == NONE {
            None
        } else {
            Some(self.head)
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.head == NONE
    }

    pub(crate) fn push_back<T: Linked<L>>(&mut self, entries: &mut Slab<T>, index: Index) {
        if let Some(entry) = entries.get_mut(index) {
            *entry.links_mut() = Links {
                previous: self.tail,
                next: NONE,
            };
        }
        match entries.get_mut(self.tail) {
            Some(tail) => tail.links_mut().next = index,
            None => self.head = index,
        }
        self.tail = index;
    }

    /// Takes out an entry of this list.
    pub(crate) fn remove<T: Linked<L>>(&mut self, entries: &mut Slab<T>, index: Index) {
        let Some(entry) = entries.get_mut(index) else {
            return;
        };
        let links = std::mem::replace(entry.links_mut(), Links::LOOSE);
        match entries.get_mut(links.previous) {
            Some(previous) => previous.links_mut().next = links.next,
            None => self.head = links.next,
        }
        match entries.get_mut(links.next) {
            Some(next) => next.links_mut().previous = links.previous,
            None => self.tail = links.previous,
        }
    }

    /// The first becomes the last.
    pub(crate) fn rotate<T: Linked<L>>(&mut self, entries: &mut Slab<T>) {
        if self.head != self.tail {
            let first = self.head;
            self.remove(entries, first);
            self.push_back(entries, first);
        }
    }

    pub(crate) fn iter<'a, T: Linked<L>>(
        &self,
        entries: &'a Slab<T>,
    ) -> impl Iterator<Item = (Index, &'a T)> {
        let mut at = self.head;
        std::iter::from_fn(move || {
            let index = at;
            let entry = entries.get(index)?;
            at = entry.links().next;
            Some((index, entry))
        })
    }
}
