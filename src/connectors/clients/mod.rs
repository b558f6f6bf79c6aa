//! One file per client app: where it keeps its store, what stands where in it, how to put a token back, and the
//! evidence for all of that.
