//! Object ids that look like Stripe's: a prefix, an underscore, letters and digits.
//!
//! # Invariants
//! - Ids of one prefix made later by the same process sort later, so indexes grow at one end.

use uuid::{NoContext, Timestamp, Uuid};

use super::wall;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62^22 > 2^128, so 22 digits hold any UUID.
const LENGTH: usize = 22;

/// A new id such as `pi_01JD…`.
pub(super) fn new(prefix: &str) -> String {
    let now = wall::now();
    // Before 1970 the time part is zero; the random part still makes the id unique.
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    let time = Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos());
    format!("{prefix}_{}", base62(Uuid::new_v7(time)))
}

/// Random letters and digits that nobody can guess.
pub(super) fn secret() -> String {
    base62(Uuid::new_v4())
}

fn base62(id: Uuid) -> String {
    let mut rest = id.as_u128();
    let mut digits = [b'0'; LENGTH];
    for place in digits.iter_mut().rev() {
        *place = DIGITS[usize::try_from(rest % 62).unwrap_or_default()];
        rest /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_prefix_and_letters_and_keeps_the_order_of_its_number() {
        assert_eq!(base62(Uuid::from_u128(0)), "0000000000000000000000");
        assert_eq!(base62(Uuid::from_u128(61)), "000000000000000000000z");
        assert_eq!(base62(Uuid::from_u128(62)), "0000000000000000000010");
        assert!(base62(Uuid::from_u128(1 << 100)) < base62(Uuid::from_u128(1 << 101)));
        let id = new("pi");
        assert!(id.starts_with("pi_") && id.len() == 25, "{id}");
        assert!(id[3..].chars().all(|letter| letter.is_ascii_alphanumeric()), "{id}");
    }
}
