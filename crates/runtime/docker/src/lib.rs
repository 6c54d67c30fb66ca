//! The Docker Engine API: wire types, and a client over a unix socket.
