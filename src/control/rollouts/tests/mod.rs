//! Each use case of rollouts: what it does, and what it refuses.
