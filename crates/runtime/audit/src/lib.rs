//! A tamper-evident audit log.
//!
//! Entries are leaves of a Merkle tree (RFC 6962). Every flush signs a checkpoint, the size and
//! root of the tree, and hashes and entries lie in the tiles of c2sp.org/tlog-tiles, so that other
//! people's tools can read and check the log: the directory *is* a tiled log.
//!
//! What it promises: an entry that [`Log::append`](log::Log::append) has acknowledged is on disk,
//! and cannot be changed, removed or moved without [`verify`](verify::verify) finding it. What it
//! cannot promise alone: whoever owns the files can put an older state of the whole log in its
//! place. That shows only against a [`checkpoint`] that was kept elsewhere, so keep them
//! elsewhere, or let a witness.
//!
//! ```text
//! checkpoint              the last published checkpoint, a signed note
//! tile/<L>/<N>[.p/<W>]    hashes
//! tile/entries/<N>[.p/<W>] entries, each with two bytes of length before it
//! journal                 what has been appended since the last full tile
//! lock                    held by the one writer
//! torn-<size>             what an unfinished write left behind, kept for whoever wonders
//! ```

pub mod checkpoint;
mod disk;
pub mod error;
mod journal;
pub mod keep;
pub mod log;
pub mod merkle;
pub mod note;
pub mod proof;
pub mod reader;
pub mod record;
mod tile;
pub mod verify;

pub use error::Error;
pub use record::MAX_ENTRY;
