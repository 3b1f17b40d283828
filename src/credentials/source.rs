//! Where credentials come from: AWS's own providers. The only home of aws-config.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_http_client::{Builder, tls};
use thiserror::Error;

use crate::presign::{
    credentials::{Credentials, Secret},
    name::Region,
};

/// One signer's provider of credentials, with the region that the same places name.
#[derive(Clone)]
pub struct Source(SdkConfig);

/// Why credentials could not be loaded: a sentence without anything secret in it.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{0}")]
pub struct LoadError(String);

impl LoadError {
    /// The provider did not answer in time.
    pub fn timed_out(limit: Duration) -> Self {
        Self(format!("the provider did not answer within {}", humantime::format_duration(limit)))
    }
}

impl Source {
    /// The AWS default chain: environment, profile, web identity, ECS or EKS, IMDS.
    ///
    /// `region` comes before the one that the chain would find; `profile` before `AWS_PROFILE`.
    pub async fn default_chain(region: Option<&Region>, profile: Option<&str>) -> Self {
        let http = Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
        if let Some(region) = region {
            loader = loader.region(aws_config::Region::new(region.to_string()));
        }
        if let Some(profile) = profile {
            loader = loader.profile_name(profile);
        }
        Self(loader.load().await)
    }

    /// The region that the chain found, where it is one.
    pub fn region(&self) -> Option<Region> {
        self.0.region().and_then(|region| region.as_ref().parse().ok())
    }

    /// Asks the provider, anew each time.
    ///
    /// # Errors
    /// When no provider of the chain has credentials, or the one that should has failed.
    pub async fn load(&self) -> Result<Credentials, LoadError> {
        let provider =
            self.0.credentials_provider().ok_or_else(|| LoadError("no provider is set up".to_owned()))?;
        let loaded = provider.provide_credentials().await.map_err(|error| LoadError(chain(&error)))?;
        Ok(Credentials::new(
            loaded.access_key_id().to_owned(),
            Secret::from(loaded.secret_access_key().to_owned()),
            loaded.session_token().map(|token| Secret::from(token.to_owned())),
            loaded.expiry(),
        ))
    }
}

/// The messages of an error and its causes in one line, each once.
///
/// Not in their Debug form, which can hold a provider's whole answer; and without what a `credential_process` printed on
/// its standard error, which may be anything.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut lines: Vec<String> = Vec::new();
    for cause in causes {
        let text = cause.to_string();
        let ours = text.split("Stderr:").next().unwrap_or_default();
        lines.extend(ours.lines().map(|line| line.trim().trim_end_matches(['.', ':']).to_owned()));
    }
    lines.dedup();
    lines.retain(|line| !line.is_empty());
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_in_one_line_without_what_a_process_printed() {
        let inner = std::io::Error::other("exited with code 3. Stderr: CANARY\nCANARY");
        let outer = std::io::Error::other(inner);
        let text = chain(&outer);
        assert_eq!(text, "exited with code 3");
    }
}
