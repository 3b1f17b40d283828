//! All integration tests, in one binary: every additional binary would take minutes to link.
//!
//! Run them with `make test`, which installs what they need: `PRESIGND_TEST_PYTHON` is a Python with the packages of
//! `tests/python/requirements.txt`.

#![expect(
    unreachable_pub,
    clippy::expect_used,
    clippy::assigning_clones,
    clippy::duration_suboptimal_units,
    clippy::format_collect,
    clippy::large_futures,
    clippy::panic,
    clippy::too_many_lines,
    clippy::type_complexity,
    clippy::unwrap_used,
    reason = "a test binary: nothing imports it, and a panic is how a test fails"
)]

mod support;

mod api;
mod architecture;
mod credentials;
mod docs;
mod explain;
mod known_answer;
mod laws;
mod oracles;
mod program;
mod python_client;
mod round_trip;
