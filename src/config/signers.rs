//! Parses the settings of the signers.

use std::{collections::BTreeSet, path::PathBuf, str::FromStr, time::Duration};

use super::{
    ConfigError,
    layers::Layers,
    names,
    values::{Boolean, ExpiryDuration, HumanDuration, parse, parse_if_set},
};
use crate::{
    credentials::{
        SignerSettings,
        roles::{RoleArn, RoleArnError, Roles},
        source::{EndpointOverrides, Provider, SourceSettings},
    },
    presign::{
        endpoint::{Addressing, EndpointRules, EndpointUrl, EndpointUrlError},
        snapshot::SigningRules,
    },
};

/// Parses the settings of every signer, `default` first.
pub(super) fn parse_signers(layers: &Layers) -> Result<Vec<SignerSettings>, ConfigError> {
    let max_expiry = parse::<ExpiryDuration>(layers, "expiry.max")?.0;
    let default_expiry = parse::<ExpiryDuration>(layers, "expiry.default")?.0.min(max_expiry);
    let refresh_wait = parse::<HumanDuration>(layers, "expiry.refresh_wait")?.0;
    let named: BTreeSet<&str> = layers.iter().filter_map(|(name, _)| names::signer_in(name)).collect();
    let others = named.into_iter().filter(|name| *name != "default");
    std::iter::once("default")
        .chain(others)
        .map(|name| {
            check_signer_name(name)?;
            let signer = SignerSection { layers, name };
            let endpoint = signer.parse_endpoint()?;
            let source = signer.parse_source(&endpoint)?;
            let rules = SigningRules { endpoint, default_expiry, max_expiry };
            Ok(SignerSettings { name: name.to_owned(), rules, source, refresh_wait })
        })
        .collect()
}

fn check_signer_name(name: &str) -> Result<(), ConfigError> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if (1..=32).contains(&name.len()) && name.bytes().all(is_allowed) {
        Ok(())
    } else {
        Err(ConfigError::SignerName(name.to_owned()))
    }
}

/// The settings below `signers.NAME.`
struct SignerSection<'l> {
    layers: &'l Layers,
    name: &'l str,
}

impl SignerSection<'_> {
    fn parse<T: FromStr<Err: std::fmt::Display>>(&self, field: &str) -> Result<Option<T>, ConfigError> {
        parse_if_set(self.layers, &format!("signers.{}.{field}", self.name))
    }

    fn conflict(&self, problem: &'static str) -> ConfigError {
        ConfigError::Signer { signer: self.name.to_owned(), problem }
    }

    fn parse_endpoint(&self) -> Result<EndpointRules, ConfigError> {
        let switch =
            |field| -> Result<Option<bool>, ConfigError> { Ok(self.parse::<Boolean>(field)?.map(|it| it.0)) };
        let path_style = switch("path_style")? == Some(true);
        let endpoint = self.parse("endpoint")?;
        Ok(EndpointRules {
            region: self.parse("region")?,
            force_aws: matches!(endpoint, Some(EndpointSetting::Aws)),
            endpoint: endpoint.and_then(|endpoint| match endpoint {
                EndpointSetting::Aws => None,
                EndpointSetting::Custom(url) => Some(url),
            }),
            public_endpoint: self.parse("public_endpoint")?,
            addressing: if path_style { Addressing::Path } else { Addressing::VirtualHost },
            fips: switch("fips")?,
            dual_stack: switch("dual_stack")?,
            accelerate: switch("accelerate")?,
            use_arn_region: switch("use_arn_region")?,
            disable_session_auth: switch("disable_session_auth")?,
            sigv4a: switch("sigv4a")?,
        })
    }

    fn parse_source(&self, endpoint: &EndpointRules) -> Result<SourceSettings, ConfigError> {
        let profile = self.parse::<String>("profile")?;
        let token_file = self.parse::<PathBuf>("web_identity")?;
        let mut roles = self.parse_roles()?;
        let named = self.parse::<ProviderName>("provider")?.unwrap_or_default();
        let provider = match (named, token_file, &profile) {
            (ProviderName::Chain | ProviderName::WebIdentity, Some(file), None) => {
                let role = self.take_web_identity_role(&mut roles)?;
                Provider::WebIdentity(Some((file, role)))
            }
            (ProviderName::Chain, None, Some(_)) | (ProviderName::Profile, None, _) => Provider::Profile,
            (ProviderName::Chain, None, None) => Provider::Chain,
            (ProviderName::Environment, None, None) => Provider::Environment,
            (ProviderName::WebIdentity, None, None) => Provider::WebIdentity(None),
            (ProviderName::Container, None, None) => Provider::Container,
            (ProviderName::Imds, None, None) => Provider::Imds,
            _ => {
                return Err(
                    self.conflict("provider, profile and web_identity select more than one source of credentials: set only one of them")
                );
            }
        };
        let (region, overrides) = (endpoint.region.clone(), EndpointOverrides::from_rules(endpoint));
        Ok(SourceSettings { provider, profile, region, overrides, roles })
    }

    fn parse_roles(&self) -> Result<Roles, ConfigError> {
        let arns = self.parse::<RoleArns>("assume_role")?.map_or(Vec::new(), |arns| arns.0);
        let external_id = self.parse::<ExternalId>("external_id")?.map(|id| id.0);
        let duration = self.parse::<SessionDuration>("session_duration")?.map(|duration| duration.0);
        let session_name = self.parse::<SessionName>("session_name")?.map(|name| name.0);
        if arns.is_empty() && (external_id.is_some() || duration.is_some() || session_name.is_some()) {
            return Err(self.conflict(
                "external_id, session_name and session_duration apply only to an assumed role: set assume_role, or remove them",
            ));
        }
        if arns.len() > 1 && duration.is_some_and(|duration| duration > MAX_CHAINED_SESSION) {
            return Err(self.conflict(
                "session_duration is more than 1h, the AWS maximum for a role that is assumed with another role: set at most 1h",
            ));
        }
        let session_name = session_name.unwrap_or_else(|| format!("presignd-{}", self.name));
        Ok(Roles { arns, external_id, session_name, duration })
    }

    /// Removes the first role from the chain: it is assumed with the token, the others with credentials.
    fn take_web_identity_role(&self, roles: &mut Roles) -> Result<RoleArn, ConfigError> {
        if roles.arns.is_empty() {
            return Err(self.conflict("web_identity needs a role to assume: set assume_role"));
        }
        if roles.arns.len() == 1 && (roles.external_id.is_some() || roles.duration.is_some()) {
            return Err(self.conflict(
                "external_id and session_duration do not apply to a role that is assumed with web_identity: remove them",
            ));
        }
        Ok(roles.arns.remove(0))
    }
}

/// The longest session of a role that is assumed with another role's credentials.
///
/// Source: [Role chaining](https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining).
const MAX_CHAINED_SESSION: Duration = Duration::from_hours(1);

#[derive(Clone, Copy, Default)]
enum ProviderName {
    #[default]
    Chain,
    Environment,
    Profile,
    WebIdentity,
    Container,
    Imds,
}

impl FromStr for ProviderName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "default" => Self::Chain,
            "environment" => Self::Environment,
            "profile" => Self::Profile,
            "web_identity" => Self::WebIdentity,
            "container" => Self::Container,
            "imds" => Self::Imds,
            _ => return Err("default, environment, profile, web_identity, container or imds"),
        })
    }
}

/// `endpoint`.
enum EndpointSetting {
    /// AWS's own endpoints; variables such as `AWS_ENDPOINT_URL` and the profile are not read.
    Aws,
    Custom(EndpointUrl),
}

impl FromStr for EndpointSetting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "aws" => Ok(Self::Aws),
            _ => text
                .parse()
                .map(Self::Custom)
                .map_err(|expected: EndpointUrlError| format!("{expected}; or aws")),
        }
    }
}

struct RoleArns(Vec<RoleArn>);

impl FromStr for RoleArns {
    type Err = RoleArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',').map(|arn| arn.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

/// Source of lengths and characters: [AssumeRole](https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html).
struct ExternalId(String);
struct SessionName(String);
struct SessionDuration(Duration);

/// Whether all characters are letters, digits, `_+=,.@-` or one of `others`.
fn has_only_allowed(text: &str, others: &[u8]) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte) || others.contains(&byte))
}

impl FromStr for ExternalId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_valid = (2..=1_224).contains(&text.len()) && has_only_allowed(text, b":/");
        is_valid.then(|| Self(text.to_owned())).ok_or("2 to 1224 letters, digits and _+=,.@:/-")
    }
}

impl FromStr for SessionName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_valid = (2..=64).contains(&text.len()) && has_only_allowed(text, b"");
        is_valid.then(|| Self(text.to_owned())).ok_or("2 to 64 letters, digits and _+=,.@-")
    }
}

impl FromStr for SessionDuration {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bounds = Duration::from_mins(15)..=Duration::from_hours(12);
        let duration = humantime::parse_duration(text).ok().filter(|duration| bounds.contains(duration));
        duration.map(Self).ok_or("a duration from 15m to 12h, such as 1h")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::123456789012:role/reader";

    fn source(set: &[(&str, &str)]) -> Result<SourceSettings, String> {
        let mut layers = Layers::defaults();
        let set = set.iter().map(|(name, text)| {
            (format!("PRESIGND_SIGNERS_PARTNER_{}", name.to_uppercase()), (*text).to_owned())
        });
        layers.apply_environment(&set.collect::<Vec<_>>()).unwrap();
        let mut signers = parse_signers(&layers).map_err(|error| error.to_string())?;
        Ok(signers.remove(1).source)
    }

    #[test]
    fn settings_of_the_source_select_the_provider() {
        let role: RoleArn = ROLE.parse().unwrap();
        let web_identity = Provider::WebIdentity(Some(("/token".into(), role)));
        for (set, provider) in [
            (&[("region", "us-east-1")][..], Provider::Chain),
            (&[("profile", "p")], Provider::Profile),
            (&[("profile", "p"), ("provider", "profile")], Provider::Profile),
            (&[("provider", "imds")], Provider::Imds),
            (&[("provider", "container"), ("assume_role", ROLE)], Provider::Container),
            (&[("provider", "web_identity")], Provider::WebIdentity(None)),
            (&[("web_identity", "/token"), ("assume_role", ROLE)], web_identity),
        ] {
            assert_eq!(source(set).unwrap().provider, provider, "{set:?}");
        }
    }

    #[test]
    fn web_identity_assumes_the_first_role_of_a_chain() {
        let chain = format!("{ROLE}, {ROLE}2");
        let with_token =
            source(&[("web_identity", "/token"), ("assume_role", &chain), ("external_id", "id")]);
        assert_eq!(with_token.unwrap().roles.arns, [format!("{ROLE}2").parse().unwrap()]);
        let roles = source(&[("assume_role", &chain), ("session_duration", "1h")]).unwrap().roles;
        assert_eq!((roles.arns.len(), roles.session_name.as_str()), (2, "presignd-partner"));
    }

    #[test]
    fn conflicting_settings_are_rejected_with_a_remedy() {
        let chain = format!("{ROLE},{ROLE}2");
        for (set, expected) in [
            (&[("provider", "ec2")][..], "must be default, environment, profile"),
            (
                &[("provider", "imds"), ("profile", "p")],
                "select more than one source of credentials: set only one",
            ),
            (&[("web_identity", "/t"), ("profile", "p"), ("assume_role", ROLE)], "set only one of them"),
            (
                &[("web_identity", "/t")],
                "signers.partner: web_identity needs a role to assume: set assume_role",
            ),
            (
                &[("web_identity", "/t"), ("assume_role", ROLE), ("external_id", "id")],
                "with web_identity: remove them",
            ),
            (&[("external_id", "id")], "apply only to an assumed role: set assume_role"),
            (&[("assume_role", "reader")], "must be role ARNs such as"),
            (&[("assume_role", ROLE), ("session_duration", "13h")], "a duration from 15m to 12h"),
            (&[("assume_role", &chain), ("session_duration", "2h")], "more than 1h, the AWS maximum"),
            (&[("assume_role", ROLE), ("session_name", "a b")], "2 to 64 letters, digits"),
            (&[("assume_role", ROLE), ("external_id", "x")], "2 to 1224 letters, digits"),
            (
                &[("endpoint", "minio:9000")],
                "signers.partner.endpoint is \"minio:9000\" (PRESIGND_SIGNERS_PARTNER_ENDPOINT), but must be an endpoint, \
                 http://HOST[:PORT][/BASE] or https://…, without user, query or fragment; or aws",
            ),
            (
                &[("public_endpoint", "aws")],
                "is \"aws\" (PRESIGND_SIGNERS_PARTNER_PUBLIC_ENDPOINT), but must be an",
            ),
            (
                &[("region", "US East")],
                "signers.partner.region is \"US East\" (PRESIGND_SIGNERS_PARTNER_REGION), but must be a region name, \
                 such as us-east-1",
            ),
            (
                &[("endpoint", "http://user:canary@minio")],
                "signers.partner.endpoint is \"http://***@minio\" \
                 (PRESIGND_SIGNERS_PARTNER_ENDPOINT), but must be an endpoint",
            ),
        ] {
            let error = source(set).unwrap_err();
            assert!(error.contains(expected), "{set:?}: {error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
