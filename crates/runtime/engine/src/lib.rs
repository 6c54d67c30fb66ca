//! A simulated Docker engine on a unix socket, for bare machines, the demo and tests.
