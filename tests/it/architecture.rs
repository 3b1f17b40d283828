//! Checks the structure of the code: the imports between modules, the crates that each module uses, and the parameters of
//! the operations.

mod features;
mod imports;
mod sources;

use crate::support::python;

#[test]
fn parameters_of_every_operation_equal_the_model_of_s3() {
    let mut command = python::script("s3_model.py");
    command.arg(python::repository("src/service/request/operations.rs"));
    command.arg(python::repository("proto/presign/v1/presign.proto"));
    command.arg(python::repository("src/presign/parameters.rs"));
    let output = python::run(command, "");
    assert!(output.starts_with("28 operations, "), "{output}");
}
