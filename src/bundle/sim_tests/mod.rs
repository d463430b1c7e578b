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
mod origin;
mod place;
mod random;
mod run;
mod site;

use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn sites_end_where_they_were_promised_to_whatever_happens_to_the_media() {
    let is_full = std::env::var("RINGFENCE_TIER").is_ok_and(|tier| tier == "full");
    let given = std::env::var("RINGFENCE_SEED").ok().and_then(|text| text.parse().ok());
    let seeds: Vec<u64> = match given {
        Some(seed) => vec![seed],
        None => (0..if is_full { 1_000 } else { 8 }).collect(),
    };
    let next = AtomicU64::new(0);
    let work = || {
        let mut tally = run::Tally::default();
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let ran = std::panic::catch_unwind(|| runtime.block_on(run::run(*seed)));
            match ran {
                Ok(of_seed) => tally.add(&of_seed),
                Err(panic) => {
                    eprintln!("repeat with RINGFENCE_SEED={seed}");
                    std::panic::resume_unwind(panic);
                }
            }
        }
        tally
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(seeds.len());
    let tally = std::thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut all = run::Tally::default();
        for worker in running {
            all.add(&worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    });
    eprintln!("{} seeds: {tally:?}", seeds.len());
    if given.is_none() {
        tally.assert_everything_happened();
    }
}
