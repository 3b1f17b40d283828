//! The documents are true: their tables are those of the code, and their commands and snippets run.
//!
//! Documents are README.md, SECURITY.md, CHANGELOG.md and every Markdown file below docs/, examples/ and deploy/.

mod fixed_limits;
mod markdown;
mod reasons;
mod snippets;
mod tables;
