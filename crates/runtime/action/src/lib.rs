//! Pre-approved container actions: strict parsing of both dialects, and the floor.
