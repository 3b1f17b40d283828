//! The names of settings and tables: which exist, and the nearest one to a mistyped name.

use super::{
    error::{LayerError, Origin},
    settings::{NOT_YET, SETTINGS, SIGNER_PREFIX, Setting},
};

/// The name of the setting that a TOML key means, where there is one: `signers.NAME.…` is spelled with `default`.
pub(super) fn find(name: &str) -> Option<&'static Setting> {
    let template = template(name);
    SETTINGS.iter().find(|setting| setting.name == template)
}

/// Whether this is a table with settings.
pub(super) fn is_table(name: &str) -> bool {
    let below = format!("{name}.");
    SETTINGS.iter().any(|setting| setting.name.starts_with(&below))
        || (name.starts_with("signers.") && !name["signers.".len()..].contains('.'))
}

/// Refuses what is not a setting. `tables` are the names of the tables that the file may have.
pub(super) fn check(name: &str, origin: &Origin, tables: &[&str]) -> Result<(), LayerError> {
    let (name, origin) = (name.to_owned(), origin.clone());
    if NOT_YET.contains(&name.as_str()) {
        return Err(LayerError::NotYet { name, origin });
    }
    match find(&name) {
        Some(_) => Ok(()),
        None => Err(LayerError::Unknown { nearest: nearest(&name, tables), name, origin }),
    }
}

/// The name of a setting or table nearest to one that is not known.
fn nearest(name: &str, tables: &[&str]) -> Option<String> {
    let names = SETTINGS.iter().map(|setting| setting.name).chain(tables.iter().copied());
    let nearest = nearest_of(&template(name), names)?;
    Some(match (nearest.strip_prefix(SIGNER_PREFIX), signer(name)) {
        (Some(rest), Some(signer)) => format!("signers.{signer}.{rest}"),
        _ => nearest.to_owned(),
    })
}

/// The nearest of some names, if one is near enough to be meant.
pub(super) fn nearest_of<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let scored = names.into_iter().map(|known| (strsim::jaro_winkler(name, known), known));
    let (score, nearest) = scored.max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (score > 0.75).then_some(nearest)
}

/// `NAME` of `signers.NAME.…`.
pub(super) fn signer(name: &str) -> Option<&str> {
    name.strip_prefix("signers.")?.split_once('.').map(|(signer, _)| signer)
}

fn template(name: &str) -> String {
    match name.strip_prefix("signers.").and_then(|rest| rest.split_once('.')) {
        Some((_, rest)) => format!("{SIGNER_PREFIX}{rest}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_finds_the_nearest_known_one() {
        for (typed, meant) in [
            ("listen.tpc", "listen.tcp"),
            ("listen.unix-mode", "listen.unix_mode"),
            ("expiry.maximum", "expiry.max"),
            ("signers.partner.regoin", "signers.partner.region"),
        ] {
            assert_eq!(nearest(typed, &[]).as_deref(), Some(meant));
        }
        assert_eq!(nearest("zzz", &[]), None);
    }
}
