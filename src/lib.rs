//! The addon: the border between the countersign core and Node. Nothing is decided here.
