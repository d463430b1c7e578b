//! Chance from a seed: nothing is drawn in an order, so that nothing depends on one.

/// What a number is drawn for. Two purposes of one device are independent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Phase = 1,
    Offline = 2,
    Fate = 3,
    Noise = 4,
    Poison = 5,
    Delay = 6,
    Twice = 7,
    Key = 8,
    /// The first of the purposes of what devices share.
    Shared = 64,
}

/// The output function of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014):
/// a bijection of 64 bits in which every input bit moves every output bit.
pub(super) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The number of one device for one purpose.
pub(super) const fn draw(seed: u64, device: u32, purpose: u64) -> u64 {
    let stream = mix(seed ^ purpose.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mix(stream.wrapping_add((device as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

/// The same as a fraction of 1, below 1.
pub(super) fn unit(seed: u64, device: u32, purpose: u64) -> f64 {
    (draw(seed, device, purpose) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_even_and_purposes_are_independent() {
        let (mut tenths, mut both) = ([0u32; 10], 0u32);
        for device in 0..20_000 {
            let (phase, fate) = (unit(7, device, Purpose::Phase as u64), unit(7, device, Purpose::Fate as u64));
            tenths[(phase * 10.0) as usize] += 1;
            both += u32::from(phase < 0.5 && fate < 0.5);
        }
        // 2,000 expected in each, with a standard deviation of 42; 5,000 of both, with one of 61.
        assert!(tenths.iter().all(|count| (1_800..2_200).contains(count)), "{tenths:?}");
        assert!((4_700..5_300).contains(&both), "{both}");
        assert_ne!(draw(1, 5, 1), draw(2, 5, 1));
    }

    #[test]
    fn the_mixing_function_is_the_published_one() {
        // The first output of SplitMix64 from seed 0, as Vigna's reference prints it.
        assert_eq!(mix(0x9E37_79B9_7F4A_7C15), 0xE220_A839_7B1D_CDAF);
    }
}
