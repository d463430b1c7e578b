//! An origin, two mirrors, and a mirror of one of them, whose links are cut, broken in the middle, bent, set back to an
//! earlier day, or led to another history, as dice tell it.
//!
//! After every attempt to follow it is asked whether one sequence still has one digest everywhere: whether each mirror
//! stands at a place of the origin's journal, never before where it stood, and decides what the origin decided there.
//! `RINGFENCE_SEED` repeats one seed; the full tier takes ten thousand (assurance bar 22).

mod net;
mod node;
mod run;

use crate::catalog::testing::over_seeds;

#[test]
fn one_sequence_has_one_digest_on_every_mirror() {
    over_seeds(10_000, 24, |seed| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(run::run(seed))
    });
}
