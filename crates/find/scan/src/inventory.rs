//! What the service offers: from a description, a recorded session, or discovery.
