//! What is made of results: a page to look at, a table to quote, one result out of several.
//!
//! [`merge::merge`] joins the parts of one run, [`page::page`] draws runs, [`comparison::markdown`] sets labels against a
//! baseline. All of them are pure: they read no file and no clock, and what a file says is escaped before it is shown.

pub mod comparison;
pub mod merge;
pub mod page;

mod bars;
mod campaign;
mod charts;
mod date;
mod escape;
mod fairness;
mod number;
mod outcome;
mod plot;
mod runs;
mod scale;
mod svg;

#[cfg(test)]
mod sample;
