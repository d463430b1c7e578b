//! How much of a ring its waves have opened after how long, if each passes as soon as it has baked.

use crate::model::Wave;

/// Whether at some moment more of the ring is open by the new waves than by the old ones.
pub(super) fn opens_sooner(old: &[Wave], new: &[Wave]) -> bool {
    let (old, new) = (points(old), points(new));
    // Both are straight between their own points, so the widest gap is at a point of one of them.
    let times = old.iter().chain(&new).map(|(at, _)| *at);
    times.into_iter().any(|at| share(&new, at) > share(&old, at) + 1e-6)
}

/// The corners: seconds and share in hundredths of a percent, in order. A jump is two corners at the same time.
fn points(waves: &[Wave]) -> Vec<(u64, f64)> {
    let mut corners = vec![(0, 0.0)];
    let (mut at, mut before) = (0, 0.0);
    for wave in waves {
        let share = f64::from(wave.share.get());
        corners.push((at, before));
        at += wave.over.as_secs();
        corners.push((at, share));
        at += wave.bake.as_secs();
        before = share;
    }
    corners
}

/// The share at a time: at a jump what is open after it, past the last corner all that was ever opened.
fn share(corners: &[(u64, f64)], at: u64) -> f64 {
    let after = corners.partition_point(|(time, _)| *time <= at);
    let Some(&(from, low)) = after.checked_sub(1).and_then(|last| corners.get(last)) else { return 0.0 };
    let Some(&(to, high)) = corners.get(after) else { return low };
    #[allow(clippy::cast_precision_loss, reason = "seconds of a year are exact")]
    let part = (at - from) as f64 / (to - from) as f64;
    low + (high - low) * part
}
