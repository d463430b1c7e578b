//! An origin and three offline sites over thirty days of publications, holds, withdrawals, rollbacks, halts and changes of
//! policy, with media and receipts that a seeded carrier brings, loses, repeats, delays, cuts and flips bits of.
//!
//! After every step it is asked whether anything became visible early, whether every refusal says what the carrier did,
//! whether a site went back, and whether its groups see what they would see at the origin. `RINGFENCE_SEED` repeats one
//! seed; the full tier takes a thousand.

mod carrier;
mod export;
mod judge;
mod letters;
mod oracle;
pub(crate) mod origin;
pub(crate) mod place;
pub(crate) mod random;
mod run;
mod site;

use crate::catalog::testing::over_seeds;

#[test]
fn sites_end_where_they_were_promised_to_whatever_happens_to_the_media() {
    over_seeds(1_000, 8, |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run::run(seed))
    });
}
