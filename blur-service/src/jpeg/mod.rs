//! The lossless JPEG path: an entropy-level splice that rewrites only the blocks a hidden region touches.
