//! Public keys of Ed25519 under which forgeries verify.

/// 2^255 - 19 without its lowest byte, the encodings being little-endian.
const PRIME: [u8; 31] = {
    let mut rest = [0xff; 31];
    rest[30] = 0x7f;
    rest
};
/// The two encodings of `y` of the points of order 8, up to the sign of `x`.
const ORDER_EIGHT: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// Whether the key is one of the eight points of small order, in any of their fourteen encodings
/// (RFC 8032 §5.1.3 forbids six of them, and not every library minds). Under such a key one
/// signature holds for one message in eight or for every one, and it takes no private key to make it,
/// so the key says nothing about who signed (Chalkias and others, Taming the Many EdDSAs, 2020).
pub(super) fn has_small_order(key: &[u8]) -> bool {
    let Ok(mut y) = <[u8; 32]>::try_from(key) else {
        return false;
    };
    // The highest bit is the sign of `x`, and a point's negative has its order.
    y[31] &= 0x7f;
    let [low, rest @ ..] = y;
    match low {
        // The orders 4 and 1.
        0 | 1 if rest == [0; 31] => true,
        // The prime less one, of order 2; the prime and the one behind it, which are 0 and 1 again.
        0xec..=0xee if rest == PRIME => true,
        _ => ORDER_EIGHT.contains(&y),
    }
}

#[cfg(test)]
mod tests {
    use crate::base64url;
    use crate::key::{Jwk, KeyError};

    fn read(x: &[u8]) -> Result<Jwk, KeyError> {
        let x = base64url::encode(x);
        Jwk::parse(format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#).as_bytes())
    }

    fn hex(text: &str) -> [u8; 32] {
        std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
    }

    #[test]
    fn a_key_of_small_order_is_refused_in_every_encoding() {
        let eight = [
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        ];
        let least = |low: u8| format!("{low:02x}{}", "00".repeat(31));
        let most = |low: u8| format!("{low:02x}{}7f", "ff".repeat(30));
        let mut refused = 0;
        for y in [least(0), least(1), most(0xec), most(0xed), most(0xee)]
            .into_iter()
            .chain(eight.map(str::to_owned))
        {
            for sign in [0, 0x80] {
                let mut key = hex(&y);
                key[31] |= sign;
                assert_eq!(read(&key).unwrap_err(), KeyError::Invalid, "{y} {sign}");
                refused += 1;
            }
        }
        assert_eq!(refused, 14);
    }

    #[test]
    fn every_other_key_is_taken() {
        // RFC 8032 §7.1, tests 1 and 2.
        for good in [
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        ] {
            assert!(read(&hex(good)).is_ok());
        }
    }
}
