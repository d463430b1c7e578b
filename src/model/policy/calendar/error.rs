//! Why a text is not a cadence, a window or a rate.

/// Why a text of a calendar is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// Not a cadence.
    #[error("{text:?} is not a cadence: {wrong}; write for example \"second Tuesday + 7 days at 02:00 Europe/Berlin\"")]
    Cadence {
        /// The text, cut to a length that fits a line.
        text: String,
        /// What is wrong with it.
        wrong: String,
    },
    /// A cron expression whose days do not exist.
    #[error("{text:?} never fires: none of its months has such a day; write for example \"cron 0 0 28 2 *\"")]
    NeverFires {
        /// The text, cut to a length that fits a line.
        text: String,
    },
    /// Not a maintenance window.
    #[error("{text:?} is not a maintenance window: {wrong}; write for example \"Sat-Sun 00:00-06:00 Europe/Berlin\"")]
    Window {
        /// The text, cut to a length that fits a line.
        text: String,
        /// What is wrong with it.
        wrong: String,
    },
    /// Not a rate.
    #[error("{text:?} is not a rate: {wrong}; write for example \"500 devices per hour\"")]
    Rate {
        /// The text, cut to a length that fits a line.
        text: String,
        /// What is wrong with it.
        wrong: String,
    },
}

/// As much of a refused text as a sentence should show.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
