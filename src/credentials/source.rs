//! Where credentials come from: AWS's own providers. The only home of aws-config.

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

pub use self::endpoint_defaults::Given;
use super::roles::{RoleArn, Roles};
use crate::{
    hardening::Environment,
    presign::{
        credentials::{Credentials, Secret},
        endpoint::EndpointDefaults,
        name::Region,
    },
};

/// Where a signer's credentials come from, as the operator set it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SourceSettings {
    /// `signers.NAME.provider`, or what follows from `profile` and `web_identity`.
    pub provider: Provider,
    /// `signers.NAME.profile`: of the shared files; otherwise `AWS_PROFILE`, or `default`.
    pub profile: Option<String>,
    /// `signers.NAME.region`: comes before the one that the same places name.
    pub region: Option<Region>,
    /// What else the operator set of what the same places may say.
    pub given: Given,
    /// The roles that are assumed with what the provider hands out.
    pub roles: Roles,
}

/// Which of AWS's providers is asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Provider {
    /// The default chain: environment, profile, web identity, ECS or EKS, IMDS.
    #[default]
    Chain,
    /// `AWS_ACCESS_KEY_ID` and its like.
    Environment,
    /// A profile of the shared files, whatever stands in the environment.
    Profile,
    /// `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`, or this token file and role.
    WebIdentity(Option<(PathBuf, RoleArn)>),
    /// The credentials endpoint of ECS and EKS.
    Container,
    /// The metadata service of EC2, version 2.
    Imds,
}

/// Why credentials could not be loaded: a sentence without anything secret in it.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum LoadError {
    /// The provider has none, or failed: its own words.
    #[error("{0}")]
    Provider(String),
    /// What the AWS SDKs would read of endpoints is not what it should be. A password may be in it: it is not repeated.
    #[error("{name} (in the environment or in the profile) is not {expected}")]
    Setting {
        /// The variable, which stands for the profile's setting, too.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The provider did not answer in time.
    #[error("the provider did not answer within {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// What the provider handed out had ended, so long ago.
    #[error(
        "the provider handed out credentials that ended {} ago: it has no newer ones, or this machine's clock is wrong",
        humantime::format_duration(Duration::from_secs(.0.as_secs()))
    )]
    Expired(Duration),
}

impl LoadError {
    /// The name in metrics.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Provider(_) | Self::Setting { .. } | Self::TimedOut(_) => "error",
            Self::Expired(_) => "expired",
        }
    }
}

/// Asks the provider, with what the same places say of endpoints.
///
/// It is set up anew each time: AWS's providers remember, and that of EC2 hands out what it had when it cannot reach
/// anything, as if it were new.
///
/// # Errors
/// When no provider of the chain has credentials, or the one that should has failed; or when what is said of endpoints
/// cannot be read: to sign for another place than was meant would not do.
pub async fn load(
    settings: &SourceSettings,
    environment: &Arc<Environment>,
) -> Result<(Credentials, EndpointDefaults), LoadError> {
    let sdk = sdk_config(settings).await;
    let defaults = endpoint_defaults::resolve(&sdk, settings.given)?;
    let factory = ProviderFactory {
        config: provider_config(&sdk),
        environment,
        profile: settings.profile.as_deref(),
        session_name: &settings.roles.session_name,
    };
    let provider = assume(&settings.roles, &sdk, factory.provider(&settings.provider)).await;
    let loaded = provider.provide_credentials().await.map_err(|error| LoadError::Provider(chain(&error)))?;
    let credentials = Credentials::new(
        loaded.access_key_id().to_owned(),
        Secret::from(loaded.secret_access_key().to_owned()),
        loaded.session_token().map(|token| Secret::from(token.to_owned())),
        loaded.expiry(),
    );
    Ok((credentials, defaults))
}

/// What the environment and the shared files say of everything but credentials.
async fn sdk_config(settings: &SourceSettings) -> SdkConfig {
    let mut loader =
        aws_config::defaults(BehaviorVersion::latest()).http_client(http_client()).no_credentials();
    if let Some(region) = &settings.region {
        loader = loader.region(aws_config::Region::new(region.to_string()));
    }
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(fips) = settings.given.fips {
        loader = loader.use_fips(fips);
    }
    if let Some(dual_stack) = settings.given.dual_stack {
        loader = loader.use_dual_stack(dual_stack);
    }
    loader.load().await
}

/// The SDK's own default client but for its cryptography: ours is ring. It is made once, with its connections and the
/// system's certificates.
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

/// Makes the providers of one load.
struct ProviderFactory<'a> {
    config: ProviderConfig,
    environment: &'a Arc<Environment>,
    profile: Option<&'a str>,
    session_name: &'a str,
}

impl ProviderFactory<'_> {
    fn provider(&self, which: &Provider) -> SharedCredentialsProvider {
        match which {
            Provider::Chain => SharedCredentialsProvider::new(
                // The order of `DefaultCredentialsChain`, which cannot be told of our environment and has an IMDS
                // provider that makes expired credentials last longer.
                CredentialsProviderChain::first_try("Environment", self.environment())
                    .or_else("Profile", self.profile())
                    .or_else("WebIdentityToken", self.web_identity(None))
                    .or_else("EcsContainer", self.container())
                    .or_else("Ec2InstanceMetadata", self.imds()),
            ),
            Provider::Environment => self.environment(),
            Provider::Profile => self.profile(),
            Provider::WebIdentity(given) => self.web_identity(given.as_ref()),
            Provider::Container => self.container(),
            Provider::Imds => self.imds(),
        }
    }

    /// The environment's credentials, which are no longer in the environment.
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

    fn web_identity(&self, given: Option<&(PathBuf, RoleArn)>) -> SharedCredentialsProvider {
        let mut builder = WebIdentityTokenCredentialsProvider::builder().configure(&self.config);
        if let Some((token_file, role)) = given {
            builder = builder.static_configuration(StaticConfiguration {
                web_identity_token_file: token_file.clone(),
                role_arn: role.to_string(),
                session_name: self.session_name.to_owned(),
            });
        }
        SharedCredentialsProvider::new(builder.build())
    }

    /// The container endpoint, with the authorization token that is no longer in the environment.
    fn container(&self) -> SharedCredentialsProvider {
        let mut config = self.config.clone();
        if let Some(token) = self.environment.secret(container::TOKEN_VARIABLE) {
            config = config.with_http_client(container::with_token(http_client(), token.clone()));
        }
        SharedCredentialsProvider::new(EcsCredentialsProvider::builder().configure(&config).build())
    }

    /// The provider makes credentials that have ended last another ten minutes, which would not be the truth: to a clock
    /// that stands still at the beginning none has ended, so that it leaves their end as it is. Its client has the
    /// right time, for its token.
    fn imds(&self) -> SharedCredentialsProvider {
        let client = imds::Client::builder().configure(&self.config).build();
        let standing_still = self.config.clone().with_time_source(StandingStill);
        let builder = ImdsCredentialsProvider::builder().configure(&standing_still).imds_client(client);
        SharedCredentialsProvider::new(builder.build())
    }
}

#[derive(Debug)]
struct StandingStill;

impl aws_smithy_async::time::TimeSource for StandingStill {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
}

/// The variables that AWS's own provider reads, which can only read them from the environment.
fn from_environment(environment: &Environment) -> Result<Loaded, CredentialsError> {
    let missing = || CredentialsError::not_loaded("environment variable not set");
    let text = |name| environment.secret(name).map(|secret| secret.expose().trim());
    let key = text("AWS_ACCESS_KEY_ID").ok_or_else(missing)?;
    let secret = text("AWS_SECRET_ACCESS_KEY").or_else(|| text("SECRET_ACCESS_KEY")).ok_or_else(missing)?;
    let token = text("AWS_SESSION_TOKEN").map(str::to_owned);
    let end = environment.expiration().map(|text| {
        let end = DateTime::from_str(text, Format::DateTimeWithOffset).ok();
        end.and_then(|end| SystemTime::try_from(end).ok()).ok_or_else(|| {
            CredentialsError::invalid_configuration(
                "AWS_CREDENTIAL_EXPIRATION is not a time such as 2026-01-31T12:00:00Z",
            )
        })
    });
    Ok(Loaded::new(key, secret, token, end.transpose()?, "EnvironmentVariable"))
}

/// Assumes one role after the other, the first with the provider's credentials.
async fn assume(
    roles: &Roles,
    sdk: &SdkConfig,
    base: SharedCredentialsProvider,
) -> SharedCredentialsProvider {
    let mut provider = base;
    for (place, role) in roles.arns.iter().enumerate() {
        let mut builder =
            AssumeRoleProvider::builder(role.to_string()).configure(sdk).session_name(&roles.session_name);
        if place + 1 == roles.arns.len() {
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

/// The files that a provider may read: when one changes, there may be something new in it.
pub async fn files(settings: &SourceSettings, environment: &Environment) -> BTreeSet<PathBuf> {
    if settings.provider == Provider::Chain && from_environment(environment).is_ok() {
        return BTreeSet::new();
    }
    let mut files: BTreeSet<PathBuf> = environment.files().map(PathBuf::from).collect();
    if let Provider::WebIdentity(Some((token, _))) = &settings.provider {
        files.insert(token.clone());
    }
    let shared = EnvConfigFiles::default();
    let profiles = aws_config::profile::load(&Fs::real(), &Env::real(), &shared, None).await;
    if let Ok(profiles) = profiles {
        let named = profiles.profiles().filter_map(|name| profiles.get_profile(name));
        files.extend(named.filter_map(|profile| profile.get("web_identity_token_file")).map(PathBuf::from));
    }
    files
}

/// The messages of an error and its causes in one line, each once.
///
/// Not in their Debug form, which can hold a provider's whole answer; and without what somebody else wrote into them, which
/// may be anything.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut lines: Vec<String> = Vec::new();
    for cause in causes {
        let text = cause.to_string();
        let ours =
            FOREIGN.iter().fold(text.as_str(), |text, from| text.split(from).next().unwrap_or_default());
        lines.extend(ours.lines().map(|line| {
            let line = line.trim().trim_end_matches(['.', ':']);
            line[..line.floor_char_boundary(LONGEST_LINE)].to_owned()
        }));
    }
    lines.dedup();
    lines.retain(|line| !line.is_empty());
    lines.join("; ")
}

/// Where in a message begins what may be secret: what a `credential_process` printed, the answer that an error of IMDS has in
/// it, and what STS says it would have signed, session token and all.
const FOREIGN: [&str; 4] = ["Stderr:", "Response {", "The Canonical String", "The String-to-Sign"];

/// The most bytes of one cause.
const LONGEST_LINE: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn fips_and_dual_stack_of_the_signer_are_for_sts_too() {
        for set in [Some(true), Some(false)] {
            let given = Given { fips: set, dual_stack: set, ..Given::default() };
            let region = Some("us-east-1".parse().unwrap());
            let sdk = sdk_config(&SourceSettings { region, given, ..SourceSettings::default() }).await;
            assert_eq!((sdk.use_fips(), sdk.use_dual_stack()), (set, set));
        }
    }

    #[test]
    fn an_error_is_told_in_one_line_without_what_a_process_printed() {
        let inner = std::io::Error::other("exited with code 3. Stderr: CANARY\nCANARY");
        let outer = std::io::Error::other(inner);
        let text = chain(&outer);
        assert_eq!(text, "exited with code 3");
        let answer =
            std::io::Error::other("error response from IMDS (code: 500). Response { body: \"CANARY\" }");
        assert_eq!(chain(&answer), "error response from IMDS (code: 500)");
        let signed = "The request signature we calculated does not match the signature you provided.\n\n\
            The Canonical String for this request should have been\n'POST\nx-amz-security-token:CANARY'";
        let text = chain(&std::io::Error::other(signed));
        assert_eq!(text, "The request signature we calculated does not match the signature you provided");
        assert!(chain(&std::io::Error::other("é".repeat(10_000))).len() <= LONGEST_LINE);
    }
}
