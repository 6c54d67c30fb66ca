//! The first bytes of an upload: plain tar, or nothing.
//!
//! The engine guesses the compression of an archive from its first bytes and hands `xz` and gzip
//! to programs, which up to 29.5.0 it looked up inside the container (CVE-2026-41567). So an
//! archive must be a tar archive by its own checksum, and must not begin like a compressed one: a
//! tar whose first file is called `\xFD7zXZ\0` is both.

use crate::refusal::{BODY, Refusal, Rule};

/// Bytes that a check of the start wants to see: one block of a tar archive.
pub const PROBE: usize = 512;

/// What the engine takes for compressed, and some that it may learn.
const COMPRESSED: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "gzip"),
    (b"\x1f\x9d", "compress"),
    (b"\x1f\xa0", "compress"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"\x5d\x00\x00", "lzma"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"LZIP", "lzip"),
    (b"PK", "zip"),
];

/// Checks the start of an upload: the first [`PROBE`] bytes, or all of it where it is shorter. In an
/// empty one is nothing to unpack, and the engine takes it for an archive without files.
///
/// # Errors
/// [`Rule::Archive`] where it is compressed or no tar archive.
pub fn check_start(first: &[u8]) -> Result<(), Refusal> {
    if first.is_empty() {
        return Ok(());
    }
    let compressed = COMPRESSED
        .iter()
        .find(|(magic, _)| first.starts_with(magic));
    // zstd also begins with skippable frames, 0x184D2A50 to 0x184D2A5F in little endian.
    let skippable = matches!(first, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
    if let Some((_, name)) = compressed {
        return Err(Refusal::new(
            Rule::Archive,
            format!("it is compressed with {name}; send plain tar"),
        )
        .at(BODY));
    }
    let block = first.get(..PROBE).filter(|_| !skippable);
    match block {
        Some(block) if block.iter().all(|byte| *byte == 0) || has_checksum(block) => Ok(()),
        _ => Err(Refusal::new(Rule::Archive, "it is no plain tar archive").at(BODY)),
    }
}

/// Whether a header block carries its own checksum: the sum of its bytes with the field itself as
/// spaces, in octal (POSIX.1-1988 ustar, and every tar before it).
fn has_checksum(block: &[u8]) -> bool {
    const FIELD: std::ops::Range<usize> = 148..156;
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            if FIELD.contains(&at) {
                u32::from(b' ')
            } else {
                u32::from(*byte)
            }
        })
        .sum();
    let field: String = block[FIELD]
        .iter()
        .map(|byte| char::from(*byte))
        .filter(|letter| !matches!(letter, ' ' | '\0'))
        .collect();
    u32::from_str_radix(&field, 8).is_ok_and(|written| written == sum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header block of an empty file.
    fn header(name: &[u8]) -> Vec<u8> {
        let mut block = vec![0; PROBE];
        block[..name.len()].copy_from_slice(name);
        block[100..107].copy_from_slice(b"0000644");
        block[124..135].copy_from_slice(b"00000000000");
        block[148..156].copy_from_slice(b"        ");
        block[257..263].copy_from_slice(b"ustar\0");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }

    #[test]
    fn plain_tar_passes() {
        assert!(check_start(&header(b"app/out.txt")).is_ok());
        assert!(check_start(&[0; 1024]).is_ok());
        assert!(check_start(b"").is_ok());
    }

    #[test]
    fn whatever_the_engine_would_unpack_is_refused() {
        for magic in [
            &b"\x1f\x8b"[..],
            b"\xfd7zXZ\0",
            b"BZh9",
            b"\x28\xb5\x2f\xfd",
            b"\x50\x2a\x4d\x18",
            b"\x5f\x2a\x4d\x18",
        ] {
            assert_eq!(check_start(magic).unwrap_err().rule, Rule::Archive);
            // The same letters as the name of the first file of a valid tar archive.
            assert_eq!(check_start(&header(magic)).unwrap_err().rule, Rule::Archive);
        }
        assert!(check_start(&[0]).is_err());
        assert!(check_start(&[b'x'; 512]).is_err());
        assert!(check_start(&header(b"a")[..511]).is_err());
    }

    proptest! {
        #[test]
        fn a_header_with_a_wrong_byte_is_no_tar(at in 0usize..148, flip in 1u8..=255) {
            let mut block = header(b"name");
            block[at] ^= flip;
            prop_assert!(check_start(&block).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = check_start(&bytes);
        }
    }
}
