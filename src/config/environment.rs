//! Which setting an environment variable is.

use super::settings::{self, ENVIRONMENT_PREFIX, SETTINGS};

/// The setting of a variable, without the prefix of its name.
///
/// `LISTEN_TCP` is `listen.tcp`; `SIGNERS_PARTNER_REGION` is `signers.partner.region`; `SIGNERS_PARTNER_PUBLIC_ENDPOINT` is
/// the longer of the settings that it may mean, and not the `endpoint` of a signer `partner_public`.
pub(super) fn setting_of_variable(rest: &str) -> Option<String> {
    let exact = SETTINGS.iter().find(|setting| setting.variable()[ENVIRONMENT_PREFIX.len()..] == *rest);
    if let Some(setting) = exact {
        return Some(setting.name.to_owned());
    }
    let below = rest.strip_prefix("SIGNERS_")?;
    let fitting = SETTINGS.iter().filter_map(|setting| {
        let last = setting.name.strip_prefix(settings::SIGNER_PREFIX)?;
        let signer = below.strip_suffix(&format!("_{}", last.to_uppercase()))?;
        (!signer.is_empty()).then(|| (last, signer.to_lowercase()))
    });
    let (last, signer) = fitting.max_by_key(|(last, _)| last.len())?;
    Some(format!("signers.{signer}.{last}"))
}

/// The known variable nearest to one that is not known.
pub(super) fn nearest_variable(variable: &str) -> Option<String> {
    let (score, nearest) = SETTINGS
        .iter()
        .map(|setting| (strsim::jaro_winkler(variable, &setting.variable()), setting.variable()))
        .max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (score > 0.85).then_some(nearest)
}

/// Kubernetes gives every pod `PRESIGND_SERVICE_HOST`, `PRESIGND_PORT` and more when a Service is named presignd,
/// and the like when its name begins so.
///
/// Source: [Accessing the Service](https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables).
pub(super) fn is_made_by_kubernetes(rest: &str) -> bool {
    let rest = format!("_{rest}_");
    ["_PORT_", "_SERVICE_HOST_", "_SERVICE_PORT_"].iter().any(|part| rest.contains(part))
}
