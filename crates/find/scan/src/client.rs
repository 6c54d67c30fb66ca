//! The one client that paces, caches, records and never leaves the scope.
