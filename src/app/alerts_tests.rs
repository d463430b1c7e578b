//! Which alerts are raised, and what becomes of their command.
