//! What a container could touch, from its deployment files or from a /proc.
