//! Identity-by-PID: one connection, one question, one answer; the end of the stream ends the message.
