//! The model store: plain maps under one lock, to compare other stores with.
