//! Names of settings and tables: which ones exist, and which one to suggest for a mistyped name.

use super::{
    error::{LayerError, Origin},
    settings::{RESERVED, SETTINGS, SIGNER_PREFIX, Setting},
};

/// The setting with this name. `signers.NAME.…` is the setting `signers.default.…`.
pub(super) fn find_setting(name: &str) -> Option<&'static Setting> {
    let template = to_template(name);
    SETTINGS.iter().find(|setting| setting.name == template)
}

/// Whether settings exist in a table of this name.
pub(super) fn is_table(name: &str) -> bool {
    let prefix = format!("{name}.");
    SETTINGS.iter().any(|setting| setting.name.starts_with(&prefix))
        || (name.starts_with("signers.") && !name["signers.".len()..].contains('.'))
}

/// Checks that a setting with this name exists.
///
/// `tables` are the names of the tables that the file may have: candidates for the suggestion in the error.
///
/// # Errors
/// When it does not exist, or not in this version.
pub(super) fn check_name(name: &str, origin: &Origin, tables: &[&str]) -> Result<(), LayerError> {
    let (name, origin) = (name.to_owned(), origin.clone());
    if RESERVED.contains(&name.as_str()) {
        return Err(LayerError::NotSupportedYet { name, origin });
    }
    match find_setting(&name) {
        Some(_) => Ok(()),
        None => Err(LayerError::Unknown { suggestion: suggest_name(&name, tables), name, origin }),
    }
}

/// The existing setting or table whose name is most similar to `name`.
fn suggest_name(name: &str, tables: &[&str]) -> Option<String> {
    let names = SETTINGS.iter().map(|setting| setting.name).chain(tables.iter().copied());
    let similar = find_similar(&to_template(name), names)?;
    Some(match (similar.strip_prefix(SIGNER_PREFIX), signer_in(name)) {
        (Some(rest), Some(signer)) => format!("signers.{signer}.{rest}"),
        _ => similar.to_owned(),
    })
}

/// The most similar of the names, unless none is similar enough to be a likely typing error.
pub(super) fn find_similar<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let scored = names.into_iter().map(|known| (strsim::jaro_winkler(name, known), known));
    let (score, similar) = scored.max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (score > 0.75).then_some(similar)
}

/// The signer's name in `signers.NAME.…`.
pub(super) fn signer_in(name: &str) -> Option<&str> {
    name.strip_prefix("signers.")?.split_once('.').map(|(signer, _)| signer)
}

/// The name as `SETTINGS` has it: the part `NAME` of `signers.NAME.…` becomes `default`.
fn to_template(name: &str) -> String {
    match name.strip_prefix("signers.").and_then(|rest| rest.split_once('.')) {
        Some((_, rest)) => format!("{SIGNER_PREFIX}{rest}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_gets_a_suggestion() {
        for (typed, meant) in [
            ("listen.tpc", "listen.tcp"),
            ("listen.unix-mode", "listen.unix_mode"),
            ("expiry.maximum", "expiry.max"),
            ("signers.partner.regoin", "signers.partner.region"),
        ] {
            assert_eq!(suggest_name(typed, &[]).as_deref(), Some(meant));
        }
        assert_eq!(suggest_name("zzz", &[]), None);
    }
}
