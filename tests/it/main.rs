//! Every integration test, in one binary: each further one would link for minutes.
//!
//! They need what `make test` installs: `PRESIGND_TEST_PYTHON` names a Python with `tests/python/requirements.txt`.

#![expect(unreachable_pub, reason = "nothing imports a test binary")]

mod support;

mod api;
mod architecture;
mod known_answer;
mod laws;
mod oracles;
mod program;
mod python_client;
mod round_trip;
