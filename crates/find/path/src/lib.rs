//! Attack paths from a token to the host, and the smallest set of fixes that cuts them.
