//! Loads credentials with the providers of the AWS SDK. The only module that uses aws-config.

mod container;
mod endpoint_defaults;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use aws_config::{
    BehaviorVersion, SdkConfig,
    ecs::EcsCredentialsProvider,
    imds::{self, credentials::ImdsCredentialsProvider},
    meta::credentials::CredentialsProviderChain,
    profile::ProfileFileCredentialsProvider,
    provider_config::ProviderConfig,
    sts::AssumeRoleProvider,
    web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider},
};
use aws_credential_types::{
    Credentials as Loaded,
    credential_fn::provide_credentials_fn,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError},
};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_smithy_http_client::{Builder, ConnectorBuilder, proxy::ProxyConfig, tls};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::{DateTime, date_time::Format};
use aws_types::os_shim_internal::{Env, Fs};
use thiserror::Error;

pub use self::endpoint_defaults::EndpointOverrides;
use super::roles::{RoleArn, Roles};
use crate::{
    hardening::AwsEnvironment,
    presign::{
        credentials::{Credentials, Secret},
        endpoint::EndpointDefaults,
        name::Region,
    },
};

/// The settings that select the source of a signer's credentials.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SourceSettings {
    /// `signers.NAME.provider`, or the provider that `profile` or `web_identity` implies.
    pub provider: Provider,
    /// `signers.NAME.profile`: a profile of the shared AWS files. Default: `AWS_PROFILE`, else `default`.
    pub profile: Option<String>,
    /// `signers.NAME.region`. If unset, resolved as by the AWS SDKs.
    pub region: Option<Region>,
    /// The endpoint settings of the operator, which override those of the environment and the profile.
    pub overrides: EndpointOverrides,
    /// The roles to assume with the credentials of the provider.
    pub roles: Roles,
}

/// The provider of the AWS SDK that loads the credentials.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Provider {
    /// The default chain: environment, profile, web identity, ECS or EKS, IMDS.
    #[default]
    Chain,
    /// `AWS_ACCESS_KEY_ID` and the variables that belong to it.
    Environment,
    /// A profile of the shared AWS files. Keys in the environment are ignored.
    Profile,
    /// This token file and role, or those of `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`.
    WebIdentity(Option<(PathBuf, RoleArn)>),
    /// The credentials endpoint of ECS and EKS.
    Container,
    /// The metadata service of EC2, version 2.
    Imds,
}

/// Why credentials could not be loaded. The messages have no secrets.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum LoadError {
    /// The provider has no credentials, or failed: its message.
    #[error("{0}")]
    Provider(String),
    /// A variable or profile setting for endpoints is invalid. Its value is not in the message: it may have a password.
    #[error("{variable} (environment) or {profile_setting} (profile) must be {expected}")]
    Setting {
        /// The variable, or more than one, that can have the value.
        variable: &'static str,
        /// The setting of the profile that can have the value.
        profile_setting: &'static str,
        /// A description of valid values.
        expected: &'static str,
    },
    /// The provider did not answer in time.
    #[error("the provider did not answer within {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// The provider returned credentials that expired this long ago.
    #[error(
        "the provider returned credentials that expired {} ago: it has no newer ones, or the clock of this machine is \
         wrong",
        humantime::format_duration(Duration::from_secs(.0.as_secs()))
    )]
    Expired(Duration),
}

impl LoadError {
    /// The value of the label `outcome` in metrics.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Provider(_) | Self::Setting { .. } | Self::TimedOut(_) => "error",
            Self::Expired(_) => "expired",
        }
    }
}

/// Loads credentials from the provider, and the endpoint defaults from the environment and the profile.
///
/// Each load creates a new provider: those of the SDK cache, and the IMDS provider returns its old credentials as if
/// they were new when it cannot reach IMDS.
///
/// # Errors
/// If no provider of the chain has credentials, or the selected provider fails. Also if an endpoint setting is invalid:
/// URLs must not be signed for another endpoint than the operator meant.
pub async fn load(
    settings: &SourceSettings,
    environment: &Arc<AwsEnvironment>,
) -> Result<(Credentials, EndpointDefaults), LoadError> {
    let sdk = sdk_config(settings).await;
    let defaults = endpoint_defaults::resolve(&sdk, settings.overrides)?;
    let factory = ProviderFactory {
        config: provider_config(&sdk),
        environment,
        profile: settings.profile.as_deref(),
        session_name: &settings.roles.session_name,
    };
    let provider = assume_roles(&settings.roles, &sdk, factory.create(&settings.provider)).await;
    let loaded =
        provider.provide_credentials().await.map_err(|error| LoadError::Provider(describe_error(&error)))?;
    let credentials = Credentials::new(
        loaded.access_key_id().to_owned(),
        Secret::from(loaded.secret_access_key().to_owned()),
        loaded.session_token().map(|token| Secret::from(token.to_owned())),
        loaded.expiry(),
    );
    Ok((credentials, defaults))
}

/// The SDK configuration from the environment and the shared AWS files, without credentials.
async fn sdk_config(settings: &SourceSettings) -> SdkConfig {
    let mut loader =
        aws_config::defaults(BehaviorVersion::latest()).http_client(http_client()).no_credentials();
    if let Some(region) = &settings.region {
        loader = loader.region(aws_config::Region::new(region.to_string()));
    }
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(fips) = settings.overrides.fips {
        loader = loader.use_fips(fips);
    }
    if let Some(dual_stack) = settings.overrides.dual_stack {
        loader = loader.use_dual_stack(dual_stack);
    }
    loader.load().await
}

/// The default HTTP client of the SDK, but with ring as the cryptography provider. It is created once: it has the
/// connection pool and the certificates of the system.
pub(super) fn http_client() -> SharedHttpClient {
    static CLIENT: OnceLock<SharedHttpClient> = OnceLock::new();
    CLIENT.get_or_init(new_http_client).clone()
}

fn new_http_client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let mut connector = ConnectorBuilder::default().tls_provider(ring);
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    })
}

fn provider_config(sdk: &SdkConfig) -> ProviderConfig {
    let mut config = ProviderConfig::without_region()
        .with_region(sdk.region().cloned())
        .with_use_fips(sdk.use_fips())
        .with_use_dual_stack(sdk.use_dual_stack());
    if let Some(http) = sdk.http_client() {
        config = config.with_http_client(http);
    }
    if let Some(retry) = sdk.retry_config() {
        config = config.with_retry_config(retry.clone());
    }
    if let Some(timeout) = sdk.timeout_config() {
        config = config.with_timeout_config(timeout.clone());
    }
    config
}

/// Creates the providers for one load.
struct ProviderFactory<'a> {
    config: ProviderConfig,
    environment: &'a Arc<AwsEnvironment>,
    profile: Option<&'a str>,
    session_name: &'a str,
}

impl ProviderFactory<'_> {
    fn create(&self, provider: &Provider) -> SharedCredentialsProvider {
        match provider {
            Provider::Chain => SharedCredentialsProvider::new(
                // The order of `DefaultCredentialsChain`. That type cannot be used: it reads the variables that
                // presignd removes, and its IMDS provider extends expired credentials.
                CredentialsProviderChain::first_try("Environment", self.environment())
                    .or_else("Profile", self.profile())
                    .or_else("WebIdentityToken", self.web_identity(None))
                    .or_else("EcsContainer", self.container())
                    .or_else("Ec2InstanceMetadata", self.imds()),
            ),
            Provider::Environment => self.environment(),
            Provider::Profile => self.profile(),
            Provider::WebIdentity(settings) => self.web_identity(settings.as_ref()),
            Provider::Container => self.container(),
            Provider::Imds => self.imds(),
        }
    }

    /// The credentials that `hardening` removed from the environment.
    fn environment(&self) -> SharedCredentialsProvider {
        let environment = Arc::clone(self.environment);
        SharedCredentialsProvider::new(provide_credentials_fn(move || {
            let loaded = from_environment(&environment);
            async move { loaded }
        }))
    }

    fn profile(&self) -> SharedCredentialsProvider {
        let mut builder = ProfileFileCredentialsProvider::builder()
            .configure(&self.config)
            // For profiles with `credential_source`.
            .with_custom_provider("Environment", self.environment())
            .with_custom_provider("EcsContainer", self.container())
            .with_custom_provider("Ec2InstanceMetadata", self.imds());
        if let Some(profile) = self.profile {
            builder = builder.profile_name(profile);
        }
        SharedCredentialsProvider::new(builder.build())
    }

    fn web_identity(&self, settings: Option<&(PathBuf, RoleArn)>) -> SharedCredentialsProvider {
        let mut builder = WebIdentityTokenCredentialsProvider::builder().configure(&self.config);
        if let Some((token_file, role)) = settings {
            builder = builder.static_configuration(StaticConfiguration {
                web_identity_token_file: token_file.clone(),
                role_arn: role.to_string(),
                session_name: self.session_name.to_owned(),
            });
        }
        SharedCredentialsProvider::new(builder.build())
    }

    /// The container endpoint, with the authorization token that `hardening` removed from the environment.
    fn container(&self) -> SharedCredentialsProvider {
        let mut config = self.config.clone();
        if let Some(token) = self.environment.secret(container::TOKEN_VARIABLE) {
            config = config.with_http_client(container::with_token(http_client(), token.clone()));
        }
        SharedCredentialsProvider::new(EcsCredentialsProvider::builder().configure(&config).build())
    }

    /// The IMDS provider of the SDK extends expired credentials by ten minutes, although AWS rejects them. With a clock
    /// that is fixed at the Unix epoch, no credentials are expired, and their expiry is not changed. The IMDS client
    /// has the real clock, which it needs for its session token.
    fn imds(&self) -> SharedCredentialsProvider {
        let client = imds::Client::builder().configure(&self.config).build();
        let with_epoch_clock = self.config.clone().with_time_source(EpochClock);
        let builder = ImdsCredentialsProvider::builder().configure(&with_epoch_clock).imds_client(client);
        SharedCredentialsProvider::new(builder.build())
    }
}

/// A clock that is fixed at the Unix epoch.
#[derive(Debug)]
struct EpochClock;

impl aws_smithy_async::time::TimeSource for EpochClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
}

/// Credentials of the variables that the environment provider of the SDK reads. That provider cannot be used: presignd
/// removes these variables from the environment.
fn from_environment(environment: &AwsEnvironment) -> Result<Loaded, CredentialsError> {
    let missing = || CredentialsError::not_loaded("environment variable not set");
    let text = |name| environment.secret(name).map(|secret| secret.expose().trim());
    let key = text("AWS_ACCESS_KEY_ID").ok_or_else(missing)?;
    let secret = text("AWS_SECRET_ACCESS_KEY").or_else(|| text("SECRET_ACCESS_KEY")).ok_or_else(missing)?;
    let token = text("AWS_SESSION_TOKEN").map(str::to_owned);
    let expiry = environment.expiration().map(|text| {
        let expiry = DateTime::from_str(text, Format::DateTimeWithOffset).ok();
        expiry.and_then(|expiry| SystemTime::try_from(expiry).ok()).ok_or_else(|| {
            CredentialsError::invalid_configuration(
                "AWS_CREDENTIAL_EXPIRATION must be a time such as 2026-01-31T12:00:00Z",
            )
        })
    });
    Ok(Loaded::new(key, secret, token, expiry.transpose()?, "EnvironmentVariable"))
}

/// Wraps a provider so that the roles are assumed in sequence: the first with the credentials of the provider, each
/// other with those of the role before.
async fn assume_roles(
    roles: &Roles,
    sdk: &SdkConfig,
    base: SharedCredentialsProvider,
) -> SharedCredentialsProvider {
    let mut provider = base;
    for (index, role) in roles.arns.iter().enumerate() {
        let mut builder =
            AssumeRoleProvider::builder(role.to_string()).configure(sdk).session_name(&roles.session_name);
        if index + 1 == roles.arns.len() {
            if let Some(id) = &roles.external_id {
                builder = builder.external_id(id);
            }
            if let Some(duration) = roles.duration {
                builder = builder.session_length(duration);
            }
        }
        provider = SharedCredentialsProvider::new(builder.build_from_provider(provider).await);
    }
    provider
}

/// The files that the provider may read. A change of one of them may bring new credentials.
pub async fn watched_paths(settings: &SourceSettings, environment: &AwsEnvironment) -> BTreeSet<PathBuf> {
    if settings.provider == Provider::Chain && from_environment(environment).is_ok() {
        return BTreeSet::new();
    }
    let mut paths: BTreeSet<PathBuf> = environment.shared_paths().map(PathBuf::from).collect();
    if let Provider::WebIdentity(Some((token, _))) = &settings.provider {
        paths.insert(token.clone());
    }
    let shared = EnvConfigFiles::default();
    let profiles = aws_config::profile::load(&Fs::real(), &Env::real(), &shared, None).await;
    if let Ok(profiles) = profiles {
        let named = profiles.profiles().filter_map(|name| profiles.get_profile(name));
        paths.extend(named.filter_map(|profile| profile.get("web_identity_token_file")).map(PathBuf::from));
    }
    paths
}

/// The messages of an error and its causes in one line, without repetitions.
///
/// Their Debug form is not used, because it can contain the whole response of a provider. Text after one of the
/// [`SECRET_MARKERS`] is removed.
pub(super) fn describe_error(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut lines: Vec<String> = Vec::new();
    for cause in causes {
        let text = cause.to_string();
        let safe = SECRET_MARKERS
            .iter()
            .fold(text.as_str(), |text, from| text.split(from).next().unwrap_or_default());
        lines.extend(safe.lines().map(|line| {
            let line = line.trim().trim_end_matches(['.', ':']);
            line[..line.floor_char_boundary(MAX_CAUSE_BYTES)].to_owned()
        }));
    }
    lines.dedup();
    lines.retain(|line| !line.is_empty());
    lines.join("; ")
}

/// The text after one of these may be secret: the output of a `credential_process`, the response in an IMDS error, or
/// the canonical request in an STS error, which contains the session token.
const SECRET_MARKERS: [&str; 4] = ["Stderr:", "Response {", "The Canonical String", "The String-to-Sign"];

/// The longest line that is kept, in bytes.
const MAX_CAUSE_BYTES: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn fips_and_dual_stack_apply_to_sts() {
        for value in [Some(true), Some(false)] {
            let overrides =
                EndpointOverrides { fips: value, dual_stack: value, ..EndpointOverrides::default() };
            let region = Some("us-east-1".parse().unwrap());
            let sdk = sdk_config(&SourceSettings { region, overrides, ..SourceSettings::default() }).await;
            assert_eq!((sdk.use_fips(), sdk.use_dual_stack()), (value, value));
        }
    }

    #[test]
    fn secrets_are_removed_from_error_messages() {
        let inner = std::io::Error::other("exited with code 3. Stderr: CANARY\nCANARY");
        let outer = std::io::Error::other(inner);
        let text = describe_error(&outer);
        assert_eq!(text, "exited with code 3");
        let answer =
            std::io::Error::other("error response from IMDS (code: 500). Response { body: \"CANARY\" }");
        assert_eq!(describe_error(&answer), "error response from IMDS (code: 500)");
        let signed = "The request signature we calculated does not match the signature you provided.\n\n\
            The Canonical String for this request should have been\n'POST\nx-amz-security-token:CANARY'";
        let text = describe_error(&std::io::Error::other(signed));
        assert_eq!(text, "The request signature we calculated does not match the signature you provided");
        assert!(describe_error(&std::io::Error::other("é".repeat(10_000))).len() <= MAX_CAUSE_BYTES);
    }
}
