//! Two dialogs joined into one call, and what each of them needs to know of itself.

pub mod body;
pub mod dialog;
pub mod session_timer;
