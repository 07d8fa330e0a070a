//! What is made of results: a page, a table.
