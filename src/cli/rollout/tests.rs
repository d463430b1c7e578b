//! What rollouts look like on a terminal.
