//! Bundles for offline sites: written by the origin, carried, taken by the site.

mod export;
