//! Attacks that no single frame makes: pieces that lie about the frame they
//! belong to, and storms.

mod fragments;
mod storms;
