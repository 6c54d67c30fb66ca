//! One assessment from end to end: scan and posture, paths, score.
