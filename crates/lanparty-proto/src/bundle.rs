//! Several frames of one flow in one datagram.
//!
//! ```text
//!  +--------------------------+--------+-----------+--------+-----------+--
//!  |   Ethernet header (14)   | length |  payload  | length |  payload  | ...
//!  +--------------------------+--------+-----------+--------+-----------+--
//! ```
//!
//! It stands where a frame stands that travels alone: behind the base header,
//! or behind the epoch and counter of a sealed kind, whose seal covers what
//! follows the Ethernet header. All frames share that header; each has a
//! payload of its own, behind its length in 2 bytes. How many there are says
//! the base header. A bundle is never longer than a frame may be, so whatever
//! carries, seals or cuts a frame does the same with a bundle.

use crate::ethernet;
use crate::overlay::FrameCount;

/// Bytes of the length before each payload.
pub const LENGTH_LEN: usize = 2;

/// What is not as many frames as its base header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lengths in the bundle do not add up")]
pub struct BundleError;

/// The frames of a datagram, one after the other.
///
/// Each is put together where it lies: its Ethernet header is written over the
/// end of the frame before it, which has been handed out by then.
#[derive(Debug)]
pub struct Frames<'a> {
    bytes: &'a mut [u8],
    ethernet: [u8; ethernet::HEADER_LEN],
    /// Where the next length stands.
    at: usize,
}

impl<'a> Frames<'a> {
    /// Reads a bundle of two frames or more, and all of it before the first is
    /// handed out.
    ///
    /// # Errors
    /// Where the lengths do not fill the bytes with exactly `count` payloads.
    pub fn parse(bytes: &'a mut [u8], count: FrameCount) -> Result<Self, BundleError> {
        let (ethernet, mut rest) = bytes.split_first_chunk().ok_or(BundleError)?;
        for _ in 0..count.get() {
            let (length, payloads) = rest.split_first_chunk().ok_or(BundleError)?;
            let length = usize::from(u16::from_be_bytes(*length));
            rest = payloads.get(length..).ok_or(BundleError)?;
        }
        if !rest.is_empty() {
            return Err(BundleError);
        }
        Ok(Self {
            ethernet: *ethernet,
            at: ethernet::HEADER_LEN,
            bytes,
        })
    }

    /// The next frame.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator could not lend the same bytes twice"
    )]
    pub fn next(&mut self) -> Option<&mut [u8]> {
        let (length, _) = self.bytes.get(self.at..)?.split_first_chunk()?;
        let payload = self.at.saturating_add(LENGTH_LEN);
        let end = payload.saturating_add(usize::from(u16::from_be_bytes(*length)));
        let start = payload.saturating_sub(ethernet::HEADER_LEN);
        let frame = self.bytes.get_mut(start..end)?;
        let (header, _) = frame.split_first_chunk_mut()?;
        *header = self.ethernet;
        self.at = end;
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ETHERNET: [u8; 14] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];

    fn bundle(payloads: &[Vec<u8>]) -> (Vec<u8>, FrameCount) {
        let mut bytes = ETHERNET.to_vec();
        for payload in payloads {
            bytes.extend((payload.len() as u16).to_be_bytes());
            bytes.extend(payload);
        }
        let count = (1..payloads.len()).fold(FrameCount::ONE, |count, _| count.next().unwrap());
        (bytes, count)
    }

    fn all(bytes: &[u8], count: FrameCount) -> Result<Vec<Vec<u8>>, BundleError> {
        let mut bytes = bytes.to_vec();
        let mut frames = Frames::parse(&mut bytes, count)?;
        let mut out = Vec::new();
        while let Some(frame) = frames.next() {
            out.push(frame.to_vec());
            // Whoever gets a frame may change it.
            frame.fill(0xFF);
        }
        Ok(out)
    }

    #[test]
    fn lengths_that_do_not_add_up_give_no_frame_at_all() {
        let (bytes, two) = bundle(&[vec![1; 20], vec![2; 30]]);
        assert_eq!(all(&bytes, two).unwrap().len(), 2);
        for end in 0..bytes.len() {
            assert_eq!(all(&bytes[..end], two), Err(BundleError), "{end} bytes");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(all(&longer, two), Err(BundleError));
        assert_eq!(all(&bytes, FrameCount::ONE), Err(BundleError));
        assert_eq!(all(&bytes, two.next().unwrap()), Err(BundleError));
    }

    proptest! {
        #[test]
        fn the_frames_come_out_as_they_went_in(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..=64),
        ) {
            let (bytes, count) = bundle(&payloads);
            let frames = all(&bytes, count).unwrap();
            prop_assert_eq!(frames.len(), payloads.len());
            for (frame, payload) in frames.iter().zip(&payloads) {
                prop_assert_eq!(&frame[..14], &ETHERNET);
                prop_assert_eq!(&frame[14..], &payload[..]);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..100), more in 0..64_usize,
        ) {
            let count = (0..more).fold(FrameCount::ONE, |count, _| count.next().unwrap_or(count));
            if let Ok(frames) = all(&bytes, count) {
                prop_assert_eq!(frames.len(), usize::from(count.get()));
                let payloads: usize = frames.iter().map(|frame| frame.len() - 14).sum();
                prop_assert_eq!(payloads + frames.len() * LENGTH_LEN + 14, bytes.len());
            }
        }
    }
}
