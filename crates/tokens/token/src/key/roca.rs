//! The fingerprint of CVE-2017-15361: RSA moduli of one vendor's generator are powers of 65537
//! modulo each of the first small primes, and can be factored.
//!
//! Source: M. Nemec et al., *The Return of Coppersmith's Attack*, CCS 2017, §3. A sound modulus
//! passes all of these by chance less than once in 2^27.

const GENERATOR: u32 = 65_537;

/// The odd primes up to 167.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether the modulus (big-endian) has the fingerprint.
pub(super) fn has_fingerprint(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|&prime| {
        let rest = modulus
            .iter()
            .fold(0u32, |rest, byte| (rest << 8 | u32::from(*byte)) % prime);
        is_power(rest, prime)
    })
}

fn is_power(rest: u32, prime: u32) -> bool {
    let mut power = 1;
    for _ in 0..prime {
        if power == rest {
            return true;
        }
        power = power * (GENERATOR % prime) % prime;
    }
    false
}
