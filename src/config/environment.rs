//! Names of environment variables.

use super::settings::{self, ENVIRONMENT_PREFIX, SETTINGS};

/// The name of the setting that a variable sets; `rest` is the variable's name without the prefix `PRESIGND_`.
///
/// `LISTEN_TCP` is `listen.tcp`; `SIGNERS_PARTNER_REGION` is `signers.partner.region`. An ambiguous name means the longest
/// setting: `SIGNERS_PARTNER_PUBLIC_ENDPOINT` is `public_endpoint` of `partner`, not `endpoint` of `partner_public`.
pub(super) fn setting_name(rest: &str) -> Option<String> {
    let exact = SETTINGS.iter().find(|setting| setting.variable()[ENVIRONMENT_PREFIX.len()..] == *rest);
    if let Some(setting) = exact {
        return Some(setting.name.to_owned());
    }
    let signer_and_field = rest.strip_prefix("SIGNERS_")?;
    let candidates = SETTINGS.iter().filter_map(|setting| {
        let field = setting.name.strip_prefix(settings::SIGNER_PREFIX)?;
        let signer = signer_and_field.strip_suffix(&format!("_{}", field.to_uppercase()))?;
        (!signer.is_empty()).then(|| (field, signer.to_lowercase()))
    });
    let (field, signer) = candidates.max_by_key(|(field, _)| field.len())?;
    Some(format!("signers.{signer}.{field}"))
}

/// The variable of a setting whose name is most similar to `variable`.
pub(super) fn suggest_variable(variable: &str) -> Option<String> {
    let (score, similar) = SETTINGS
        .iter()
        .map(|setting| (strsim::jaro_winkler(variable, &setting.variable()), setting.variable()))
        .max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (score > 0.85).then_some(similar)
}

/// Whether Kubernetes sets this variable: for a Service whose name is or begins with `presignd`, every pod of the
/// namespace gets `PRESIGND_SERVICE_HOST`, `PRESIGND_PORT` and others.
///
/// Source: [Accessing the Service](https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables).
pub(super) fn is_set_by_kubernetes(rest: &str) -> bool {
    let rest = format!("_{rest}_");
    ["_PORT_", "_SERVICE_HOST_", "_SERVICE_PORT_"].iter().any(|part| rest.contains(part))
}
