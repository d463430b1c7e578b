//! What is to happen, by the minute.

/// Things by the minute in which they happen; what lies behind the last one never does.
pub(super) struct Bins<T> {
    minutes: Vec<Vec<T>>,
    next: usize,
    waiting: usize,
}

impl<T> Bins<T> {
    /// For minutes 0 to `last`.
    pub(super) fn new(last: u32) -> Self {
        Self { minutes: (0..=last).map(|_| Vec::new()).collect(), next: 0, waiting: 0 }
    }

    /// Puts a thing into a minute: into the one that is next where that has gone by.
    pub(super) fn put(&mut self, minute: u64, thing: T) {
        let minute = usize::try_from(minute).unwrap_or(usize::MAX).max(self.next);
        if let Some(bin) = self.minutes.get_mut(minute) {
            bin.push(thing);
            self.waiting += 1;
        }
    }

    /// Takes what is in a minute. Earlier ones are over.
    pub(super) fn take(&mut self, minute: u32) -> Vec<T> {
        let place = minute as usize;
        self.next = self.next.max(place + 1);
        let taken = self.minutes.get_mut(place).map(std::mem::take).unwrap_or_default();
        self.waiting -= taken.len();
        taken
    }

    /// The first minute from `minute` on that has something.
    pub(super) fn next_from(&self, minute: u32) -> Option<u32> {
        if self.waiting == 0 {
            return None;
        }
        let rest = self.minutes.get(minute as usize..)?;
        let ahead = rest.iter().position(|bin| !bin.is_empty())?;
        u32::try_from(minute as usize + ahead).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_in_their_minute_and_late_ones_in_the_next() {
        let mut bins = Bins::new(10);
        bins.put(3, 'a');
        bins.put(11, 'x');
        assert_eq!(bins.next_from(0), Some(3));
        assert_eq!(bins.take(3), ['a']);
        bins.put(1, 'b');
        assert_eq!((bins.next_from(4), bins.take(4)), (Some(4), vec!['b']));
        assert_eq!(bins.next_from(0), None);
    }
}
