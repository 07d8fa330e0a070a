//! Many calls at once: what SIPp counts of them.
