//! RFC 3263 with name servers that follow a script, and the operator's routes.

mod next_hop;
mod search;

use super::*;
