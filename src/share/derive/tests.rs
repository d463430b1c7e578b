//! Archives that are built here, whole and damaged.
