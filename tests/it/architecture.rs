//! The shape of the code, held by reading it: which module may use which, and that the README tells the truth.

mod features;
mod imports;
mod sources;

use std::fs;

use presignd::{config::settings::SETTINGS, metrics::definitions};

use crate::support::python;

fn readme() -> String {
    fs::read_to_string(python::repository("README.md")).expect("there is a README")
}

#[test]
fn the_readme_has_every_setting_with_its_default() {
    let readme = readme();
    for setting in SETTINGS {
        let shown = setting.name.replace("signers.default.", "signers.NAME.");
        let row = readme.lines().find(|line| line.starts_with(&format!("| `{shown}`")));
        let row = row.unwrap_or_else(|| panic!("{shown} is in the README's table of settings"));
        let default = setting.default.map_or("none".to_owned(), |default| format!("`{default}`"));
        assert!(row.contains(&default), "the row of {shown} says {default}: {row}");
    }
}

#[test]
fn the_readme_has_every_metric_with_its_labels() {
    let readme = readme();
    for metric in definitions::ALL {
        let row = readme.lines().find(|line| line.starts_with(&format!("| `{}`", metric.name)));
        let row = row.unwrap_or_else(|| panic!("{} is in the README's table of metrics", metric.name));
        for label in metric.labels {
            assert!(
                row.contains(&format!("`{label}`")),
                "the row of {} has its label {label}: {row}",
                metric.name
            );
        }
    }
}

#[test]
fn the_parameters_of_every_operation_are_those_of_the_model_of_s3() {
    let mut command = python::script("s3_model.py");
    command.arg(python::repository("src/service/request/operations.rs"));
    command.arg(python::repository("proto/presign/v1/presign.proto"));
    command.arg(python::repository("src/presign/parameters.rs"));
    let said = python::run(command, "");
    assert!(said.starts_with("28 operations, "), "{said}");
}
