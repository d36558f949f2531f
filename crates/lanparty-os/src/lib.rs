//! See the manifest description.
