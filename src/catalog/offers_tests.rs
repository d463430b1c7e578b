//! Offers and votes: counted once each, over restarts and lost indexes.
