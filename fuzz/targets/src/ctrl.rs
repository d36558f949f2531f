//! The control stream.

use lanparty_ctrl::codec::{Decoder, Incoming, decode, encode};

use crate::take_u16;

/// A cut and a stream: messages come out the same in one push or in two, and
/// what was read is written and read again to the same message.
pub fn decode_stream(mut data: &[u8]) {
    let cut = usize::from(take_u16(&mut data)).min(data.len());
    let (first, second) = data.split_at(cut);
    let at_once = messages(&[data]);
    assert_eq!(messages(&[first, second]), at_once);
    for message in at_once.into_iter().flatten() {
        let again = decode(&encode(&message)[4..]).expect("what we write we read");
        assert_eq!(again, Incoming::Message(message));
    }
}

fn messages(pushes: &[&[u8]]) -> Vec<Option<lanparty_ctrl::Message>> {
    let mut decoder = Decoder::new();
    let mut out = Vec::new();
    for bytes in pushes {
        decoder.push(bytes);
        while let Ok(Some(incoming)) = decoder.next() {
            out.push(match incoming {
                Incoming::Message(message) => Some(message),
                Incoming::Skipped => None,
            });
        }
    }
    out
}
